"""The verb that makes upscalers."""

from pathlib import Path
from typing import Literal

import click

from sakuga.export.plans.flavour import CURRENT
from sakuga.export.upscaler.options import OVERLAP, TILE, UpscalerOptions


@click.command(short_help="Build an upscaler from its .pth or .safetensors file, once.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.option("--name", help="What to call it [default: the file's name].")
@click.option("--licence", help="Licence of its weights, written down with it.")
@click.option(
    "--tile",
    type=click.IntRange(min=32),
    default=TILE,
    show_default=True,
    help="Side of the pieces large pictures are cut into, in pixels.",
)
@click.option(
    "--overlap",
    type=click.IntRange(min=0),
    help=f"What neighbouring pieces share, in pixels [default: {OVERLAP}; more for networks that "
    "fold pixels together].",
)
@click.option(
    "--backend", type=click.Choice(["rtx", "tensorrt"]), help="Build a plan with it besides."
)
@click.option("--gpu", default=CURRENT, help="GPUs of the plan: current, any, or such as sm89.")
def build_upscaler(
    file: Path,
    out: Path,
    name: str | None,
    licence: str | None,
    tile: int,
    overlap: int | None,
    backend: Literal["rtx", "tensorrt"] | None,
    gpu: str,
) -> None:
    """Build a folder NAME.upscaler from FILE: DAT, Real-ESRGAN, and what else spandrel knows.

    Needs torch and spandrel, the extra `upscalers`; running it needs neither. Prints the path.
    """
    from sakuga.export.upscaler.build import build_upscaler as build

    options = UpscalerOptions(name, licence, tile, overlap, backend, gpu)
    made = build(file, out, options).manifest
    click.echo(f"{made.name} ({made.hash}): {made.architecture}, x{made.scale}", err=True)
    for precision, error in made.errors.items():
        click.echo(f"{precision}: relative error {error:.1e} against torch in float32", err=True)
    if made.licence == "unknown":
        click.echo("Licence: not known; its author's page says it.", err=True)
    click.echo(out)
