"""A VAE in a file of its own, in either layout; a whole checkpoint will do, for the VAE in it."""

from pathlib import Path

from sakuga.engine.errors import CheckpointError, UnknownFamilyError
from sakuga.export.checkpoint.component import Component, bind_components
from sakuga.export.checkpoint.folder_names import folder_tables
from sakuga.export.checkpoint.foreign import what_it_is
from sakuga.export.checkpoint.ldm_vae import PREFIX, ldm_vae_table
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.sources import Source, Table
from sakuga.export.checkpoint.store import TensorStore
from sakuga.profiles.families import Family

_PREFIXES = ("", PREFIX, "vae.")


def open_vae(path: Path) -> SafetensorsFile:
    """Open the file. Raises CheckpointError where there is none, FileFormatError for what is no
    strict safetensors file."""
    if not path.exists():
        raise CheckpointError(f"There is no VAE file {path}.", hint="Check the path.")
    return SafetensorsFile(path)


def bind_vae(file: SafetensorsFile, family: Family) -> Component:
    """The VAE of the file.

    SD 1.5's and SDXL's have the same names and shapes: which of them it is cannot be told. Raises
    UnknownFamilyError for something else, TensorError for missing or misshapen tensors.
    """
    store, table = TensorStore((file,)), vae_table(family)
    if not any(place.key in store for places in table.values() for place in places):
        raise _not_a_vae(file.path, store)
    return bind_components(family, {"vae": table}, {"vae": store}, str(file.path))["vae"]


def vae_table(family: Family) -> Table:
    """Canonical VAE name to its places in a VAE file, the original layout's first."""
    diffusers = folder_tables(family)["vae"]
    return {
        name: tuple(
            Source(prefix + source.key.removeprefix(PREFIX), source.operation)
            for prefix in _PREFIXES
            for source in (*ldm, *diffusers[name])
        )
        for name, ldm in ldm_vae_table(family).items()
    }


def _not_a_vae(path: Path, store: TensorStore) -> UnknownFamilyError:
    what = what_it_is(store.tensors.keys())
    return UnknownFamilyError(
        f"{path} is {what}, not a VAE." if what else f"{path} holds no VAE.",
        note=f"Its first names: {', '.join(sorted(store.tensors)[:3]) or 'none'}.",
        hint="Give a VAE as .safetensors, in the original layout or diffusers'.",
    )
