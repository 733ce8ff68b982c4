"""The verb that looks at prompts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sakuga.engine.errors import UsageError

if TYPE_CHECKING:
    from sakuga.engine.jobs.job import Job
    from sakuga.engine.lint.linter import Linter, Question
    from sakuga.engine.text.embeddings import Embeddings
    from sakuga.engine.text.tokenizer import Tokenizer

FOUND = 1  # the exit code where something is left to say, as linters have it


@click.command(short_help="Say what is wrong with a prompt, and mend it.")
@click.argument("words", nargs=-1, metavar="[BUNDLE] [PROMPT]")
@click.option("--preset", help="Whose card to go by [default: the bundle's].")
@click.option("--negative", help="Negative prompt [default: the card's].")
@click.option(
    "--compat",
    type=click.Choice(["a1111", "comfy", "diffusers"], case_sensitive=False),
    default="a1111",
    help="The tool whose grammar to read by [default: a1111].",
)
@click.option("--steps", type=click.IntRange(1, 1000), help="[default: the card's, else 28]")
@click.option("--no-prefix", is_flag=True, help="Leave the card's tags out.")
@click.option(
    "--embeddings",
    type=click.Path(path_type=Path),
    help="Folder of textual inversions, whose names prompts use.",
)
@click.option("--fix", "mend", is_flag=True, help="Print the prompt as the card wants it.")
@click.option("--jobs", type=click.Path(path_type=Path), help="Look at every job of a job file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lint_prompt(
    words: tuple[str, ...],
    preset: str | None,
    negative: str | None,
    compat: str,
    steps: int | None,
    no_prefix: bool,
    embeddings: Path | None,
    mend: bool,
    jobs: Path | None,
    as_json: bool,
) -> int:
    """Say what the card of a model and the grammar of a tool have against PROMPT: tags that are
    retired or another model's, an order the card advises against, what it says not to use,
    contradictions and repetitions, brackets that will not do what they look like, and length.

    The model is that of BUNDLE, or of a card: --preset NAME. Nothing is loaded or rendered.
    Findings go to stdout, the length to stderr. With --fix the prompt as it should be goes to
    stdout, and what was changed and what is left to stderr. The exit code is 0 where nothing is
    found, or left; else 1.
    """
    from sakuga.engine.lint.linter import Question
    from sakuga.engine.lint.reading import Manner
    from sakuga.engine.sampling.compat import find_compat

    bundle, prompt = _bundle_and_prompt(words, jobs)
    linter = _linter(bundle, preset, embeddings)
    if jobs is not None:
        if mend or negative is not None:
            raise UsageError(
                f"--jobs cannot be combined with {'--fix' if mend else '--negative'}.",
                note="A job says both of its prompts itself.",
                hint="Give one prompt without --jobs.",
            )
        return _lint_jobs(linter, jobs, as_json)
    usual = linter.preset.steps if linter.preset else Manner().evaluations
    rule = find_compat(compat.lower()).long_prompt
    question = Question(
        prompt,
        negative,
        Manner(rule, evaluations=steps or usual),
        "none" if no_prefix else "preset",
    )
    return _fix_one(linter, question, as_json) if mend else _lint_one(linter, question, as_json)


def _bundle_and_prompt(words: Sequence[str], jobs: Path | None) -> tuple[Path | None, str]:
    """What stands on the command line beside its options."""
    if jobs is not None and len(words) < 2:
        return (Path(words[0]) if words else None), ""
    if jobs is None and len(words) in (1, 2) and not (len(words) == 1 and _is_bundle(words[0])):
        return (Path(words[0]) if len(words) == 2 else None), words[-1]
    raise UsageError(
        "lint-prompt takes a prompt, and a bundle before it if there is one."
        if jobs is None
        else "With --jobs, lint-prompt takes a bundle at most.",
        note=f"Given: {', '.join(repr(word[:40]) for word in words) or 'nothing'}.",
        hint='Such as sakuga lint-prompt --preset animagine-xl-3.1 "1girl, smile".',
    )


def _is_bundle(word: str) -> bool:
    from sakuga.engine.manifest import is_bundle

    try:
        return is_bundle(Path(word))
    except (OSError, ValueError):  # too long for a path, or no path at all
        return False


@dataclass(frozen=True)
class _Model:
    """What a bundle or a preset says of a model, without its networks."""

    family: str | None
    tokenizer: "Tokenizer"


def _linter(bundle: Path | None, preset: str | None, folder: Path | None) -> "Linter":
    from sakuga.engine.bundle import EMBEDDINGS, read_manifest
    from sakuga.engine.lint.length import Ruler
    from sakuga.engine.lint.linter import Linter
    from sakuga.engine.presets import find_preset
    from sakuga.engine.runtime.defaults import manifest_chunks, manifest_preset
    from sakuga.engine.text.tokenizer import Tokenizer, clip_tokenizer
    from sakuga.profiles.preset_file import NO_PRESET

    if bundle is None:
        chosen = None if preset in (None, NO_PRESET) else find_preset(preset or "")
        model = _Model(chosen.family if chosen else None, clip_tokenizer())
        return Linter(chosen, Ruler(model.tokenizer, _embeddings(model, folder)))
    manifest = read_manifest(bundle)
    model = _Model(manifest.family, Tokenizer.load(bundle / manifest.tokenizer))
    bundled = bundle / EMBEDDINGS if EMBEDDINGS in manifest.files else None
    ruler = Ruler(model.tokenizer, _embeddings(model, folder, bundled), manifest_chunks(manifest))
    return Linter(manifest_preset(manifest, preset), ruler, manifest.loras)


def _embeddings(model: _Model, folder: Path | None, bundled: Path | None = None) -> "Embeddings":
    """Those that came with the bundle's LoRAs, and those of a folder."""
    from sakuga.engine.text.bundled_embeddings import bundled_embeddings
    from sakuga.engine.text.embedding_files import read_embeddings
    from sakuga.engine.text.embeddings import Embeddings
    from sakuga.profiles.families import FAMILIES

    found = bundled_embeddings(bundled.read_bytes()) if bundled else []
    if folder is None:
        return Embeddings(found, model.tokenizer)
    if model.family not in FAMILIES:
        raise UsageError(
            "--embeddings needs to know for which model.",
            note="An embedding is for one family.",
            hint="Give a bundle, or --preset NAME.",
        )
    found += read_embeddings(folder, FAMILIES[model.family].text_encoders)
    return Embeddings(found, model.tokenizer)


def _lint_one(linter: "Linter", question: "Question", as_json: bool) -> int:
    from sakuga.engine.lint_text import finding_line, lengths_line, report_facts, summary_line

    report = linter.lint(question)
    if as_json:
        click.echo(json.dumps(report_facts(report, question), indent=1))
    else:
        for finding in report.findings:
            click.echo(finding_line(finding))
        for line in (lengths_line(report), summary_line(report.findings), _of_no_card(linter)):
            if line:
                click.echo(line, err=True)
    return FOUND if report.findings else 0


def _of_no_card(linter: "Linter") -> str:
    if linter.preset is not None:
        return ""
    return "Only the tool's grammar was asked; for a card, give a bundle or --preset NAME."


def _fix_one(linter: "Linter", question: "Question", as_json: bool) -> int:
    from sakuga.engine.lint.fixer import fix
    from sakuga.engine.lint_text import finding_facts, finding_line, fixed_text

    fixed = fix(linter, question)
    if as_json:
        after = replace(question, prompt=fixed.prompt, negative_prompt=fixed.negative_prompt)
        facts = {
            "prompt": fixed.prompt,
            "negative_prompt": fixed.negative_prompt,
            "changes": fixed.changes,
            "undone": fixed.undone,
            "findings": [finding_facts(each, after) for each in fixed.left],
        }
        click.echo(json.dumps(facts, indent=1))
    else:
        click.echo(fixed_text(fixed))
        left = [f"Left: {finding_line(finding)}" for finding in fixed.left]
        for line in (*fixed.changes, *fixed.undone, *left):
            click.echo(line, err=True)
    return FOUND if fixed.left else 0


def _lint_jobs(linter: "Linter", jobs: Path, as_json: bool) -> int:
    """Every line of a job file once, however many pictures it asks for."""
    from sakuga.engine.jobs.jobfile import read_jobs
    from sakuga.engine.lint_text import finding_line, report_facts

    by_line = {job.line: job for job in reversed(read_jobs(jobs))}
    found = 0
    for line, job in sorted(by_line.items()):
        question = _question_of(job, linter)
        report = linter.lint(question)
        found += bool(report.findings)
        if as_json and report.findings:
            place = {"line": line, "id": job.id}
            click.echo(json.dumps(place | report_facts(report, question)))
        elif not as_json:
            for finding in report.findings:
                click.echo(f"{jobs}:{line} ({job.id}): {finding_line(finding)}")
    click.echo(f"{found:,} of {len(by_line):,} jobs have findings.", err=True)
    return FOUND if found else 0


def _question_of(job: "Job", linter: "Linter") -> "Question":
    from sakuga.engine.lint.linter import Question
    from sakuga.engine.lint.reading import Manner
    from sakuga.engine.sampling.compat import find_compat
    from sakuga.engine.text.segments import emphasis_name

    request = job.request
    usual = linter.preset.steps if linter.preset else Manner().evaluations
    manner = Manner(
        find_compat(request.compat).long_prompt,
        emphasis_name(request.emphasis or "Original"),
        request.steps or usual,
    )
    return Question(request.prompt, request.negative_prompt, manner, request.prefix)
