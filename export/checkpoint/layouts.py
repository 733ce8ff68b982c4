"""A checkpoint, whatever its layout: a diffusers folder or a single .safetensors file."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sakuga.engine.errors import CheckpointError
from sakuga.export.checkpoint.component import Component, bind_components
from sakuga.export.checkpoint.detect import find_family
from sakuga.export.checkpoint.folder import (
    UNET_FOLDER,
    check_folder,
    read_config,
    weight_files,
)
from sakuga.export.checkpoint.folder_names import folder_tables
from sakuga.export.checkpoint.foreign import refuse_foreign, refuse_other_unets
from sakuga.export.checkpoint.ldm_unet import ldm_unet_table
from sakuga.export.checkpoint.prediction import (
    Objective,
    PredictionType,
    objective_of_file,
    objective_of_scheduler,
)
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.settings import (
    SamplingSettings,
    refuse_other_settings,
    sampling_settings,
)
from sakuga.export.checkpoint.single_file import single_file_tables
from sakuga.export.checkpoint.sources import Table
from sakuga.export.checkpoint.store import TensorStore
from sakuga.export.checkpoint.surplus import split_surplus
from sakuga.export.checkpoint.vae_file import bind_vae, open_vae
from sakuga.profiles.families import Family


@dataclass(frozen=True)
class Checkpoint:
    """An open checkpoint: complete, of a known family, no tensor read yet.

    `components` holds `text_encoder`, `text_encoder_2` (SDXL), `unet` and `vae`. `ignored` lists
    surplus names known to do no harm (`model_ema.*`, `position_ids`, ...), `unknown` all others.
    `vae_file`: the file whose VAE took the place of the checkpoint's own.
    """

    path: Path
    layout: Literal["diffusers", "single"]
    family: Family
    prediction: PredictionType
    zero_terminal_snr: bool
    sampling: SamplingSettings
    components: Mapping[str, Component]
    ignored: tuple[str, ...]
    unknown: tuple[str, ...]
    files: tuple[SafetensorsFile, ...]
    vae_file: SafetensorsFile | None = None

    def sha256(self) -> str:
        """SHA-256 in hex. The first ten digits of a single file's are its "model hash".

        A folder's is that of the lines `digest  relative/path` of its weight files, sorted by
        path, each ended by a line feed: the output of sha256sum.
        """
        if self.layout == "single":
            return self.files[0].sha256()
        lines = sorted((file.path.relative_to(self.path).as_posix(), file) for file in self.files)
        digest = hashlib.sha256()
        for name, file in lines:
            digest.update(f"{file.sha256()}  {name}\n".encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Close all files; reading from a component afterwards is an error."""
        for file in (*self.files, *([self.vae_file] if self.vae_file else ())):
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_checkpoint(path: Path, vae: Path | None = None) -> Checkpoint:
    """Open a diffusers folder or a single-file checkpoint and check that it is complete.

    `vae`: a file whose VAE takes the place of the checkpoint's own, which may then be absent.
    Raises CheckpointError (no such path), FileFormatError (not safetensors, truncated, a pickle),
    UnknownFamilyError (a LoRA, a VAE, another kind of model), TensorError (missing or wrong
    tensors), CheckpointError (a folder that asks for another noise schedule or scale of latents).
    Use it as a context manager, or call close().
    """
    if not path.exists():
        raise CheckpointError(
            f"There is no file or folder {path}.",
            hint="Give a .safetensors file, a diffusers folder, or the word demo.",
        )
    with ExitStack() as opened:
        file = None if vae is None else opened.enter_context(open_vae(vae))
        read = _open_folder if path.is_dir() else _open_single
        checkpoint = read(path, file, opened)
        opened.pop_all()
    return checkpoint


def _open_single(path: Path, vae: SafetensorsFile | None, opened: ExitStack) -> Checkpoint:
    file = opened.enter_context(SafetensorsFile(path))
    store = TensorStore((file,))
    refuse_foreign(store, str(path))
    family = find_family(store, ldm_unet_table, str(path))
    tables = single_file_tables(family)
    components = _bind(path, family, tables, dict.fromkeys(tables, store), vae)
    used = frozenset[str]().union(*(component.keys() for component in components.values()))
    used |= {source.key for places in tables["vae"].values() for source in places}
    objective = objective_of_file(file.tensors, file.metadata)
    surplus = file.tensors.keys() - used
    sampling = SamplingSettings()
    found = _checkpoint(path, "single", family, objective, sampling, components, surplus, (file,))
    return replace(found, vae_file=vae)


def _open_folder(path: Path, vae: SafetensorsFile | None, opened: ExitStack) -> Checkpoint:
    check_folder(path)
    unet = _open_store(path / UNET_FOLDER, opened)
    refuse_other_unets(unet, str(path))
    family = find_family(unet, lambda family: folder_tables(family)[UNET_FOLDER], str(path))
    tables = folder_tables(family)
    others = [name for name in tables if name != UNET_FOLDER]
    stores = {UNET_FOLDER: unet} | {name: _open_store(path / name, opened) for name in others}
    components = _bind(path, family, tables, stores, vae)
    objective = objective_of_scheduler(read_config(path / "scheduler" / "scheduler_config.json"))
    surplus = {
        f"{name}/{key}"
        for name, store in stores.items()
        if vae is None or name != "vae"
        for key in store.tensors.keys() - components[name].keys()
    }
    files = tuple(file for store in stores.values() for file in store.files)
    refuse_other_settings(path, family)
    sampling = sampling_settings(path)
    found = _checkpoint(path, "diffusers", family, objective, sampling, components, surplus, files)
    return replace(found, vae_file=vae)


def _bind(
    path: Path,
    family: Family,
    tables: Mapping[str, Table],
    stores: Mapping[str, TensorStore],
    vae: SafetensorsFile | None,
) -> dict[str, Component]:
    """The checkpoint's components, the VAE from the file of its own where there is one."""
    if vae is None:
        return bind_components(family, tables, stores, str(path))
    others = {name: table for name, table in tables.items() if name != "vae"}
    return {**bind_components(family, others, stores, str(path)), "vae": bind_vae(vae, family)}


def _open_store(folder: Path, opened: ExitStack) -> TensorStore:
    files = [opened.enter_context(SafetensorsFile(file)) for file in weight_files(folder)]
    return TensorStore(tuple(files))


def _checkpoint(
    path: Path,
    layout: Literal["diffusers", "single"],
    family: Family,
    objective: Objective,
    sampling: SamplingSettings,
    components: Mapping[str, Component],
    surplus: set[str],
    files: tuple[SafetensorsFile, ...],
) -> Checkpoint:
    ignored, unknown = split_surplus(surplus)
    return Checkpoint(
        path=path,
        layout=layout,
        family=family,
        prediction=objective.prediction,
        zero_terminal_snr=objective.zero_terminal_snr,
        sampling=sampling,
        components=components,
        ignored=ignored,
        unknown=unknown,
        files=files,
    )
