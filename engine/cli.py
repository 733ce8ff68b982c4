"""The verbs that need a bundle or nothing: render, presets, doctor."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sakuga.engine.errors import UsageError
from sakuga.engine.manifest import is_bundle

if TYPE_CHECKING:
    from sakuga.engine.jobs.jobfile import Job


@click.command(short_help="Render a prompt, or a file of jobs, with a bundle.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@click.option("--jobs", type=click.Path(path_type=Path), help="Job file, one JSON object a line.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--negative", help="Negative prompt.")
@click.option("--width", type=int, help="Pixels [default: the preset's, else the family's].")
@click.option("--height", type=int, help="Pixels [default: the preset's, else the family's].")
@click.option("--steps", type=int, help="[default: the preset's, else 28]")
@click.option("--guidance", type=float, help="CFG scale, 1: off [default: the preset's, else 7].")
@click.option("--sampler", help='"Euler a" or "Euler" [default: the preset\'s, else Euler a].')
@click.option("--seed", type=int, default=-1, show_default=True, help="-1: a random one.")
@click.option(
    "--compat",
    type=click.Choice(["a1111", "comfy", "diffusers"], case_sensitive=False),
    default="a1111",
    show_default=True,
    help="The tool whose rules to follow.",
)
@click.option("--clip-skip", type=int, help="Counted as the compat tool counts.")
@click.option("--preset", help="Preset to use instead of the bundle's own; none: without one.")
@click.option("--no-prefix", is_flag=True, help="Leave the preset's tags out of the prompt.")
@click.option("--threads", type=int, help="Threads of the networks [default: all cores].")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a picture.")
@click.pass_context
def render(
    context: click.Context,
    bundle: Path,
    prompt: str | None,
    jobs: Path | None,
    out: Path,
    negative: str | None,
    width: int | None,
    height: int | None,
    steps: int | None,
    guidance: float | None,
    sampler: str | None,
    seed: int,
    compat: str,
    clip_skip: int | None,
    preset: str | None,
    no_prefix: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Render a PROMPT, or every job of a job file, with BUNDLE.

    Prints the path of each picture as it lands on the disk. A prompt gives NUMBER-SEED.png with
    the next free number; a job gives ID.png and replaces a file of that name. The preset adds its
    tags to the prompt and gives the negative prompt where there is none; not with compat diffusers.
    """
    from sakuga.engine.jobs.jobfile import Job, read_jobs
    from sakuga.engine.runtime.request import RANDOM_SEED, Request, random_seed

    _check_out(out)
    if jobs is not None:
        _check_alone(context)
        _render(bundle, read_jobs(jobs), out, preset, threads, as_json)
        return
    if prompt is None:
        raise UsageError(
            "There is nothing to render.",
            hint='Give a prompt: sakuga render BUNDLE "1girl, smile" --out DIR, or --jobs FILE.',
        )
    chosen = random_seed() if seed == RANDOM_SEED else seed
    request = Request(
        prompt=prompt,
        negative_prompt=negative,
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        sampler=sampler,
        seed=chosen,
        compat=compat,
        clip_skip=clip_skip,
        prefix="none" if no_prefix else "preset",
    )
    _render(bundle, [Job(_free_id(out, chosen), request)], out, preset, threads, as_json)


def _render(
    bundle: Path,
    jobs: list["Job"],
    out: Path,
    preset: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    from sakuga.engine.engine import Engine
    from sakuga.engine.jobs.run import SHEET_FILE, render_jobs
    from sakuga.engine.progress import render_progress

    opened = Engine.open(bundle, threads=threads, preset=preset)
    with opened as engine, render_progress(len(jobs)) as report:
        for done in render_jobs(engine, jobs, out, report.step):
            report.picture(done)
            line = json.dumps(asdict(done) | {"path": str(done.path)}) if as_json else done.path
            click.echo(line)
    if len(jobs) > 1:
        click.echo(f"Contact sheet: {out / SHEET_FILE}", err=True)


def _check_alone(context: click.Context) -> None:
    """A job says all of its settings itself; an option beside --jobs would be ignored."""
    given = [
        name
        for name in context.params
        if name not in ("bundle", "jobs", "out", "preset", "threads", "as_json")
        and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if given:
        options = ", ".join(
            "a prompt" if name == "prompt" else f"--{name.replace('_', '-')}" for name in given
        )
        raise UsageError(
            f"--jobs cannot be combined with {options}.",
            note="A job file says the prompt and the settings of each picture.",
            hint="Write the settings into the job lines, or give a prompt without --jobs.",
        )


def _check_out(out: Path) -> None:
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp") and not out.is_dir():
        raise UsageError(
            f"--out is a folder, and {out} looks like a picture.",
            hint=f"Give a folder: --out {out.with_suffix('')}",
        )
    for folder in (out.absolute(), *out.absolute().parents):
        if is_bundle(folder):
            raise UsageError(
                f"{out} lies inside the bundle {folder}.",
                note="A bundle holds what a build put there and nothing else.",
                hint="Give a folder beside it.",
            )


@click.command(short_help="Show what the models' cards recommend.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or show one: what a model's card recommends.

    Your own are TOML files in $SAKUGA_PRESETS, else in ~/.config/sakuga/presets, on Windows in
    %APPDATA%\\sakuga\\presets; one called like a shipped preset takes its place.
    """
    from sakuga.engine.preset_text import describe_preset, preset_table
    from sakuga.engine.presets import find_preset, known_presets

    chosen = list(known_presets().values()) if name is None else [find_preset(name)]
    if as_json:
        click.echo(json.dumps([asdict(preset) for preset in chosen], indent=1))
    else:
        click.echo(preset_table(chosen) if name is None else describe_preset(chosen[0]))


@click.command(short_help="Say what this machine has and what is used of it.")
@click.argument("bundles", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(bundles: tuple[Path, ...], as_json: bool) -> None:
    """Say what this machine has, and whether the plans of BUNDLES run here."""
    from sakuga.engine.doctor import examine

    findings = examine(bundles)
    if as_json:
        click.echo(json.dumps(findings, indent=1))
    else:
        for key, value in findings.items():
            click.echo(f"{key:16} {value}")


def _free_id(out: Path, seed: int) -> str:
    """The next running number in the folder and the seed, as other tools name pictures."""
    taken = [int(path.name[:5]) for path in out.glob("[0-9]" * 5 + "-*.png")]
    return f"{max(taken, default=-1) + 1:05d}-{seed}"
