"""`python -m sakuga.export.demo.training --out DIR`: the demo model from nothing but a seed.

Stops at any moment and goes on when run again with the same folder. On two CPU cores the whole
takes about two hours; docs/demo-model.md has the figures of the weights that ship.
"""

from pathlib import Path

import click

from sakuga.export.demo.training.latents import SMALL_SHAPES, shelves
from sakuga.export.demo.training.lora import LoraOptions, train_lora
from sakuga.export.demo.training.pack import pack
from sakuga.export.demo.training.text import TextOptions, train_text
from sakuga.export.demo.training.unet import UNetOptions, train_unet
from sakuga.export.demo.training.vae import VAEOptions, train_vae
from sakuga.profiles.buckets import QUARTER_BUCKETS

PICTURES = 1600  # of each shape; half of them at half the sides too


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
def main(out: Path) -> None:
    """Train the demo model, or go on training it: demo.safetensors, and a LoRA beside it."""
    out.mkdir(parents=True, exist_ok=True)
    options = UNetOptions()
    vae = train_vae(out, VAEOptions())
    encoders = train_text(out, TextOptions())
    small = shelves(out, vae, SMALL_SHAPES, range(PICTURES // 2), options.scenes_seed)
    full = shelves(out, vae, QUARTER_BUCKETS, range(PICTURES), options.scenes_seed)
    unet = train_unet(out, encoders, small, full, options)
    pack(vae, encoders, unet, out / "demo.safetensors")
    train_lora(vae, encoders, unet, out / "kosame.safetensors", LoraOptions())
    click.echo(out / "demo.safetensors")


if __name__ == "__main__":
    main()
