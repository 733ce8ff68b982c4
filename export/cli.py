"""The verbs that need the exporter: build, inspect."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from sakuga.export.counted import counted

if TYPE_CHECKING:
    from sakuga.engine.bundle import Bundle
    from sakuga.engine.manifest import LoraEntry
    from sakuga.export.assemble import Progress
    from sakuga.export.checkpoint.prediction import PredictionType

SHOWN = 5  # unknown tensors named


@click.command(short_help="Build a bundle from a checkpoint, once.")
@click.argument("model")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Bundle to write.")
@click.option(
    "--backend",
    type=click.Choice(["onnx", "rtx", "tensorrt"]),
    help="What runs the networks; tensorrt or rtx where a GPU and the library are, else onnx.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"]),
    help="Of the UNet and the text encoders: fp32 for onnx, else fp16.",
)
@click.option(
    "--gpu", help="GPUs to build plans for: current (the default), any, or such as sm89,sm120."
)
@click.option(
    "--shapes", help="Sizes of plans: range (the default), buckets, or such as 832x1216,1024x1024."
)
@click.option("--max-batch", type=int, help="Pictures at once that plans allow; 4 by default.")
@click.option("--refit", is_flag=True, help="Plans that take another checkpoint's weights later.")
@click.option("--preset", help="Preset to use; the one that knows the file's hash if left out.")
@click.option(
    "--prediction",
    type=click.Choice(["epsilon", "v"]),
    help="What the UNet predicts, for a checkpoint that does not say it or is wrong.",
)
@click.option("--zero-terminal-snr", is_flag=True, help="The model was trained down to pure noise.")
@click.option("--ema", is_flag=True, help="Take the averaged weights (model_ema) of the UNet.")
@click.option(
    "--lora",
    "loras",
    multiple=True,
    metavar="FILE[:TEXT[:UNET]]",
    help="LoRA to merge, its weights behind it, such as a.safetensors:0.8; may be repeated.",
)
@click.option("--strict-lora", is_flag=True, help="Refuse a LoRA that does not match in full.")
@click.option(
    "--vae", type=click.Path(path_type=Path), help="VAE to take in place of the checkpoint's own."
)
@click.option("--verify", is_flag=True, help="Compare every network with diffusers afterwards.")
def build(
    model: str,
    out: Path,
    backend: Literal["onnx", "rtx", "tensorrt"] | None,
    precision: Literal["fp32", "fp16"] | None,
    gpu: str | None,
    shapes: str | None,
    max_batch: int | None,
    refit: bool,
    preset: str | None,
    prediction: Literal["epsilon", "v"] | None,
    zero_terminal_snr: bool,
    ema: bool,
    loras: tuple[str, ...],
    strict_lora: bool,
    vae: Path | None,
    verify: bool,
) -> None:
    """Build a bundle from MODEL: a .safetensors file, a diffusers folder, or `demo`.

    Done once for each checkpoint; prints the bundle's path.
    """
    from sakuga.export.adapters.choice import parse_choice
    from sakuga.export.build import BuildOptions
    from sakuga.export.build import build as build_bundle
    from sakuga.export.checkpoint.overrides import Overrides
    from sakuga.export.plans.report import read_report

    predicts: PredictionType | None = "v_prediction" if prediction == "v" else prediction
    overrides = Overrides(predicts, zero_terminal_snr, ema)
    options = BuildOptions(
        backend, precision, verify, gpu, shapes, max_batch, refit, preset, overrides,
        tuple(map(parse_choice, loras)), vae, strict_lora,
    )  # fmt: skip
    with _progress() as progress:
        bundle = build_bundle(model, out, options, progress, say=_say)
    if report := read_report(bundle.path):
        click.echo(report.table(), err=True)
    _say_preset(bundle)
    if unknown := bundle.manifest.checkpoint.unknown:
        unread = counted(len(unknown), "tensor")
        click.echo(f"Not used: {unread} no network reads: {_first(unknown)}", err=True)
    for lora in bundle.manifest.loras:
        _say_lora(lora)
    for network, error in bundle.manifest.verification.items():
        click.echo(
            f"{network:16} relative error {error:.1e} against diffusers in float32", err=True
        )
    click.echo(out)


@click.command(short_help="Say what a bundle, checkpoint, LoRA, upscaler or picture is.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(file: Path, as_json: bool) -> None:
    """Say what FILE is: a bundle, checkpoint, LoRA or upscaler, or a picture with its settings."""
    from sakuga.export.inspect import inspect as inspect_file
    from sakuga.export.plans.report import read_report

    found = inspect_file(file)
    report = read_report(file) if found.facts["kind"] == "bundle" else None
    if as_json:
        extra = {} if report is None else {"build_report": asdict(report)}
        click.echo(json.dumps(found.facts | extra, indent=1))
        return
    for key, value in found.summary.items():
        click.echo(f"{key:14} {value}")
    if report is not None:
        click.echo(f"\n{report.table()}")


def _say_preset(bundle: "Bundle") -> None:
    from sakuga.engine.runtime.defaults import bundle_preset

    preset = bundle_preset(bundle)
    if preset is None:
        click.echo("Preset: none; --preset NAME chooses one of `sakuga presets`", err=True)
    else:
        click.echo(f"Preset: {preset.name}", err=True)
        click.echo(f"Licence: {preset.licence.name}. {preset.licence.meaning}", err=True)


def _say_lora(lora: "LoraEntry") -> None:
    if lora.unmatched:
        keys = counted(len(lora.unmatched), "key")
        shown = _first(lora.unmatched)
        click.echo(f"Warning: {keys} of {lora.name} match nothing here: {shown}", err=True)
    if lora.embeddings:
        click.echo(f"Embeddings of {lora.name}: {_first(lora.embeddings)}", err=True)


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _say(words: str) -> None:
    click.echo(words, err=True)


@contextmanager
def _progress() -> Iterator["Progress | None"]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield progress
