"""Writes a Triton model repository around a bundle."""

import shutil
from pathlib import Path

import click

from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import UsageError
from sakuga.engine.plans import BACKENDS
from sakuga.engine.platform import write_file_atomic

_MODEL = Path(__file__).with_name("model.py")
_CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 0
model_transaction_policy {{ decoupled: true }}
input [
  {{ name: "PROMPT" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "NEGATIVE_PROMPT" data_type: TYPE_STRING dims: [ 1 ] optional: true }},
  {{ name: "SETTINGS" data_type: TYPE_STRING dims: [ 1 ] optional: true }}
]
output [
  {{ name: "IMAGE" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "PARAMETERS" data_type: TYPE_STRING dims: [ 1 ] }},
  {{ name: "STEP" data_type: TYPE_INT32 dims: [ 1 ] }}
]
instance_group [ {{ count: 1 kind: KIND_{kind} }} ]
parameters {{ key: "bundle" value: {{ string_value: "{bundle}" }} }}
parameters {{ key: "backend" value: {{ string_value: "{backend}" }} }}
parameters {{ key: "preset" value: {{ string_value: "{preset}" }} }}
"""


@click.command("export-triton", short_help="Write a Triton model repository around a bundle.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The repository.")
@click.option("--name", help="Of the model [default: the bundle's].")
@click.option("--backend", type=click.Choice(BACKENDS), help="Where to render.")
@click.option("--preset", help="Preset to use instead of the bundle's own; none: without one.")
def export_triton(
    bundle: Path, out: Path, name: str | None, backend: str | None, preset: str | None
) -> None:
    """Write OUT/NAME with config.pbtxt, the backend file, and a copy of the bundle.

    Start Triton with it where `pip install sakuga` has been done for its Python:
    tritonserver --model-repository OUT
    """
    path = export_repository(bundle, out, name, backend, preset)
    click.echo(path)


def export_repository(
    path: Path, out: Path, name: str | None, backend: str | None, preset: str | None
) -> Path:
    """The folder of the new model. Raises UsageError where something has that name already, and
    for a name that is none; as `open_bundle` for what is no bundle."""
    bundle = open_bundle(path)
    name = path.resolve().name.removesuffix(".sakuga") if name is None else name
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] == ".":
        raise UsageError(
            f"A model of Triton cannot be called {name!r}.",
            hint="Give letters, digits, dashes and underscores with --name.",
        )
    model = out / name
    if model.exists():
        raise UsageError(
            f"There is already something at {model}.",
            hint="Remove it, or give another name with --name.",
        )
    version = model / "1"
    version.mkdir(parents=True)
    shutil.copytree(bundle.path, version / "bundle.sakuga")
    shutil.copyfile(_MODEL, version / "model.py")
    config = _CONFIG.format(
        name=name,
        kind="CPU" if backend == "onnx" else "GPU",
        bundle="1/bundle.sakuga",
        backend=backend or "",
        preset=preset or "",
    )
    write_file_atomic(model / "config.pbtxt", config.encode())  # last: with it the model is whole
    return model
