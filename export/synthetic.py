"""Checkpoints made from a seed, with the names and shapes of real ones, in both layouts.

    python -m sakuga.export.synthetic --family sdxl --layout single --out demo.safetensors

They render noise-like pictures, and everything else about them is real: tests, benchmarks and
demonstrations need no download. Written tensor by tensor, so the full SDXL file of 6.9 GB takes
the memory of its largest tensor.
"""

from functools import partial
from pathlib import Path

import click

from sakuga.engine.errors import SakugaError
from sakuga.export.checkpoint.writer import Layout, Precision, write_checkpoint
from sakuga.export.synthetic_weights import draw
from sakuga.profiles.families import FAMILIES, Family


def write_synthetic(family: Family, layout: Layout, dtype: Precision, seed: int, out: Path) -> None:
    """Write a checkpoint: a diffusers folder or a single file at `out`, whole or not at all.

    The same family and seed give the same weights in both layouts; fp16 rounds those of fp32. An
    older checkpoint at `out` is replaced; UsageError where something else stands there.
    """
    metadata = {"modelspec.title": f"Synthetic {family.name}, seed {seed}"}
    write_checkpoint(family, layout, dtype, partial(draw, seed), metadata, out)


@click.command()
@click.option("--family", "kind", type=click.Choice(["sdxl", "sd15"]), required=True)
@click.option("--scale", type=click.Choice(["tiny", "full"]), default="tiny", show_default=True)
@click.option("--layout", type=click.Choice(["diffusers", "single"]), required=True)
@click.option("--dtype", type=click.Choice(["fp16", "fp32"]), default="fp16", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(kind: str, scale: str, layout: Layout, dtype: Precision, seed: int, out: Path) -> None:
    """Write a synthetic checkpoint."""
    family = FAMILIES[kind if scale == "full" else f"{kind}-tiny"]
    try:
        write_synthetic(family, layout, dtype, seed, out)
    except (SakugaError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(out)


if __name__ == "__main__":
    main()
