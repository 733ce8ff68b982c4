"""`python -m sakuga.export.demo.training --out DIR`: the demo model from nothing but a seed.

Ctrl-C finishes the step under way and saves; a kill loses two minutes at most. The same command
goes on. On two CPU cores the whole takes about four hours; docs/demo-model.md has the figures of
the weights that ship. A GPU is used where torch sees one.
"""

import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import click

from sakuga.engine.errors import MissingDependencyError, SakugaError
from sakuga.engine.platform import exclusive
from sakuga.profiles.buckets import QUARTER_BUCKETS

PICTURES = 1600  # of each shape; half of them at half the sides too
SEEDS_APART = 1000  # of the stages of one --seed from those of the next


def train(out: Path, seed: int) -> None:
    """All stages, each going on from what `out` holds, down to the three files that ship.

    The stages need torch, so they are imported when it is known to be there.
    """
    from sakuga.export.demo.training.face_onnx import write_detector
    from sakuga.export.demo.training.faces import FaceOptions, train_faces
    from sakuga.export.demo.training.latents import SMALL_SHAPES, shelves
    from sakuga.export.demo.training.lora import LoraOptions, train_lora, write_lora
    from sakuga.export.demo.training.pack import pack
    from sakuga.export.demo.training.text import TextOptions, train_text
    from sakuga.export.demo.training.unet import UNetOptions, train_unet
    from sakuga.export.demo.training.vae import VAEOptions, train_vae

    shift = seed * SEEDS_APART
    vae_options = VAEOptions(seed=VAEOptions.seed + shift)
    text_options = TextOptions(seed=TextOptions.seed + shift)
    lora_options = LoraOptions(seed=LoraOptions.seed + shift)
    options = UNetOptions(
        seed=UNetOptions.seed + shift, scenes_seed=UNetOptions.scenes_seed + shift
    )
    vae = train_vae(out, vae_options)
    encoders = train_text(out, text_options)
    small = shelves(out, vae, SMALL_SHAPES, range(PICTURES // 2), options.scenes_seed)
    full = shelves(out, vae, QUARTER_BUCKETS, range(PICTURES), options.scenes_seed)
    unet = train_unet(out, encoders, small, full, options)
    pack(vae, encoders, unet, out / "demo.safetensors")
    adapted = train_lora(out, vae, encoders, unet, lora_options)
    write_lora(adapted, lora_options, out / "kosame.safetensors")
    faces = train_faces(out, FaceOptions(seed=FaceOptions.seed + shift))
    write_detector(faces, out / "demo-face.onnx")


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--seed", default=0, show_default=True, help="Of everything that is drawn.")
def main(out: Path, seed: int) -> None:
    """Train the demo model, or go on training it: demo.safetensors, a LoRA and a detector."""
    try:
        if not find_spec("torch"):
            raise MissingDependencyError(
                "Training needs torch and diffusers.",
                hint="Install the extra, in a clone: pip install -c constraints.txt -e '.[verify]'",
            )
        out.mkdir(parents=True, exist_ok=True)
        signal.signal(signal.SIGINT, _stop)
        with exclusive(out / "training.lock"):
            train(out, seed)
    except SakugaError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(out / "demo.safetensors")


def _stop(number: int, frame: FrameType | None) -> None:
    from sakuga.export.demo.training.progress import STOP

    if STOP.is_set():
        raise KeyboardInterrupt  # asked twice
    STOP.set()


if __name__ == "__main__":
    main()
