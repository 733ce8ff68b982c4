"""`python -m sakuga.export.demo --layout diffusers --out DIR`: the demo model as a checkpoint.

For trying other tools on it, or Sakuga's own reading of either layout.
"""

from pathlib import Path

import click

from sakuga.engine.errors import SakugaError
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.checkpoint.sources import Array, Shape
from sakuga.export.checkpoint.writer import Layout, Precision, write_checkpoint
from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_METADATA


def write_demo(layout: Layout, dtype: Precision, out: Path) -> None:
    """Write the demo model in a layout; the same weights whichever it is."""
    with open_checkpoint(DEMO_CHECKPOINT) as checkpoint:

        def values(component: str, name: str, shape: Shape) -> Array:
            return checkpoint.components[component].read(name)

        write_checkpoint(checkpoint.family, layout, dtype, values, DEMO_METADATA, out)


@click.command()
@click.option("--layout", type=click.Choice(["diffusers", "single"]), required=True)
@click.option("--dtype", type=click.Choice(["fp16", "fp32"]), default="fp16", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(layout: Layout, dtype: Precision, out: Path) -> None:
    """Write the demo model as a checkpoint of its own."""
    try:
        write_demo(layout, dtype, out)
    except (SakugaError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(out)


if __name__ == "__main__":
    main()
