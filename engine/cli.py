"""The verbs that need a bundle or nothing: render, presets, doctor."""

import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sakuga.engine.errors import UsageError

if TYPE_CHECKING:
    pass

RANDOM_SEED = -1


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("prompt", required=False)
@click.option("--jobs", type=click.Path(path_type=Path), help="Job file, one JSON object a line.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--negative", help="Negative prompt.")
@click.option("--width", type=int, help="Pixels.")
@click.option("--height", type=int, help="Pixels.")
@click.option("--steps", type=int)
@click.option("--guidance", type=float, help="CFG scale; 1 turns guidance off.")
@click.option("--sampler", help='Such as "Euler a".')
@click.option("--seed", type=int, default=RANDOM_SEED, help="-1 (the default): a random one.")
@click.option("--compat", default="a1111", show_default=True, help="a1111, comfy or diffusers.")
@click.option("--clip-skip", type=int, help="Counted as the compat tool counts.")
@click.option("--threads", type=int, help="Threads of the networks; default: all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a picture.")
def render(
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
    threads: int | None,
    as_json: bool,
) -> None:
    """Render a PROMPT, or every job of a job file, with BUNDLE.

    Prints the path of each picture as it lands on the disk.
    """
    from sakuga.engine.engine import Engine
    from sakuga.engine.jobs.jobfile import Job, read_jobs
    from sakuga.engine.jobs.run import CONTACT_SHEET, render_jobs
    from sakuga.engine.progress import render_progress

    if (prompt is None) == (jobs is None):
        raise UsageError(
            "Give a prompt or a job file, one of the two.",
            hint='sakuga render BUNDLE "1girl, smile" --out DIR, or --jobs FILE.jsonl',
        )
    wanted: list[Job]
    if jobs is not None:
        wanted = read_jobs(jobs)
    else:
        assert prompt is not None
        chosen = secrets.randbelow(2**32) if seed == RANDOM_SEED else seed
        wanted = [
            Job(
                line=1,
                id=_free_id(out, chosen),
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
            )
        ]
    with Engine.open(bundle, threads=threads) as engine, render_progress(len(wanted)) as report:
        for done in render_jobs(engine, wanted, out, report.step):
            report.picture(done)
            line = json.dumps(asdict(done) | {"path": str(done.path)}) if as_json else done.path
            click.echo(line)
    if len(wanted) > 1:
        click.echo(f"Contact sheet: {out / CONTACT_SHEET}", err=True)


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or show one: what a model's card recommends."""
    from sakuga.profiles.presets import all_presets, load_preset

    try:
        chosen = [load_preset(name)] if name else list(all_presets().values())
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    if as_json:
        click.echo(json.dumps([asdict(preset) for preset in chosen], indent=1))
    elif name is None:
        for preset in chosen:
            size = f"{preset.width}x{preset.height}"
            click.echo(f"{preset.name:18} {preset.family:6} {size:10} {preset.title}")
    else:
        for key, value in asdict(chosen[0]).items():
            click.echo(f"{key:16} {value}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Say what this machine has and what Sakuga can use of it."""
    from sakuga.engine.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps(findings, indent=1))
    else:
        for key, value in findings.items():
            click.echo(f"{key:16} {value}")


def _free_id(out: Path, seed: int) -> str:
    """The next running number in the folder and the seed, as other tools name pictures."""
    taken = [int(path.name[:5]) for path in out.glob("[0-9]" * 5 + "-*.png")]
    return f"{max(taken, default=-1) + 1:05d}-{seed}"
