"""A checkpoint, whatever its layout: a diffusers folder or a single .safetensors file."""

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sakuga.engine.errors import CheckpointError, TensorError, UsageError
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
from sakuga.export.checkpoint.ldm_unet import EMA_PREFIX, PREFIX, ema_unet_table, ldm_unet_table
from sakuga.export.checkpoint.overrides import Overrides
from sakuga.export.checkpoint.position_ids import lost_positions, repair_note
from sakuga.export.checkpoint.prediction import (
    PredictionType,
    Stated,
    contradiction,
    settle,
    stated_by_file,
    stated_by_scheduler,
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
    `notes`: sentences for whoever builds, on what was repaired or read otherwise than stated.
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
    overrides: Overrides
    notes: tuple[str, ...]
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


def open_checkpoint(
    path: Path, overrides: Overrides | None = None, vae: Path | None = None
) -> Checkpoint:
    """Open a diffusers folder or a single-file checkpoint and check that it is complete.

    `overrides`: what is to hold where the files say nothing, or something else. `vae`: a file
    whose VAE takes the place of the checkpoint's own, which may then be absent.

    Raises CheckpointError (no such path), FileFormatError (not safetensors, truncated, a pickle),
    UnknownFamilyError (a LoRA, a VAE, another kind of model), TensorError (missing or wrong
    tensors), CheckpointError (a folder that asks for another noise schedule or scale of latents),
    UsageError (averaged weights of a checkpoint that has none).
    Use it as a context manager, or call close().
    """
    if not path.exists():
        raise CheckpointError(
            f"There is no file or folder {path}.",
            hint="Give a .safetensors file, a diffusers folder, or the word demo.",
        )
    overrides = overrides or Overrides()
    with ExitStack() as opened:
        file = None if vae is None else opened.enter_context(open_vae(vae))
        read = _read_folder if path.is_dir() else _read_single
        checkpoint = _checkpoint(path, overrides, read(path, overrides, file, opened), file)
        opened.pop_all()
    return checkpoint


@dataclass(frozen=True, eq=False)
class _Found:
    """What a layout's reader found; `lost`: positions that damaged position ids never read."""

    layout: Literal["diffusers", "single"]
    family: Family
    stated: Stated
    sampling: SamplingSettings
    components: Mapping[str, Component]
    surplus: set[str]
    lost: tuple[int, ...]
    files: tuple[SafetensorsFile, ...]


def _read_single(
    path: Path, overrides: Overrides, vae: SafetensorsFile | None, opened: ExitStack
) -> _Found:
    file = opened.enter_context(SafetensorsFile(path))
    store = TensorStore((file,))
    refuse_foreign(store, str(path))
    _check_averages(path, store, overrides)
    unet_table = ema_unet_table if overrides.ema else ldm_unet_table
    family = find_family(store, unet_table, str(path))
    tables = {**single_file_tables(family), UNET_FOLDER: unet_table(family)}
    components = _bind(path, family, tables, dict.fromkeys(tables, store), vae)
    used = frozenset[str]().union(*(component.keys() for component in components.values()))
    used |= {source.key for places in tables["vae"].values() for source in places}
    plain_unet = {source.key for (source,) in ldm_unet_table(family).values()}
    return _Found(
        "single",
        family,
        stated_by_file(path, file.tensors, file.metadata),
        SamplingSettings(),
        components,
        file.tensors.keys() - used - plain_unet,
        lost_positions(store, tables["text_encoder"]),
        (file,),
    )


def _read_folder(
    path: Path, overrides: Overrides, vae: SafetensorsFile | None, opened: ExitStack
) -> _Found:
    check_folder(path)
    unet = _open_store(path / UNET_FOLDER, opened)
    refuse_other_unets(unet, str(path))
    _check_averages(path, unet, overrides)
    family = find_family(unet, lambda family: folder_tables(family)[UNET_FOLDER], str(path))
    tables = folder_tables(family)
    others = [name for name in tables if name != UNET_FOLDER]
    stores = {UNET_FOLDER: unet} | {name: _open_store(path / name, opened) for name in others}
    components = _bind(path, family, tables, stores, vae)
    refuse_other_settings(path, family)
    encoders = [config.name for config in family.text_encoders]
    lost = {n for name in encoders for n in lost_positions(stores[name], tables[name])}
    return _Found(
        "diffusers",
        family,
        stated_by_scheduler(read_config(path / "scheduler" / "scheduler_config.json")),
        sampling_settings(path),
        components,
        {
            f"{name}/{key}"
            for name, store in stores.items()
            if vae is None or name != "vae"
            for key in store.tensors.keys() - components[name].keys()
        },
        tuple(sorted(lost)),
        tuple(file for store in stores.values() for file in store.files),
    )


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


def _check_averages(path: Path, store: TensorStore, overrides: Overrides) -> None:
    """The averages are there if they are asked for, and asked for if only they are there."""
    has_averages = any(key.startswith(EMA_PREFIX) for key in store.tensors)
    if overrides.ema and not has_averages:
        raise UsageError(
            f"{path} has no averaged (EMA) weights of the UNet.",
            note=f"Their names would start with {EMA_PREFIX}; pruned files and folders have none.",
            hint="Build without --ema: the weights there may be the averaged ones already.",
        )
    has_plain = any(key.startswith(PREFIX) for key in store.tensors)
    if has_averages and not has_plain and not overrides.ema:
        raise TensorError(
            f"{path} has no UNet but the averaged one ({EMA_PREFIX}…).",
            note="Which of the two a tool reads differs, so none is taken unasked.",
            hint="Build with --ema.",
        )


def _checkpoint(
    path: Path, overrides: Overrides, found: _Found, vae: SafetensorsFile | None
) -> Checkpoint:
    ignored, unknown = split_surplus(found.surplus)
    objective = settle(found.stated, overrides.prediction, overrides.zero_terminal_snr)
    repair = repair_note(path.name, found.lost) if found.lost else ""
    return Checkpoint(
        path=path,
        layout=found.layout,
        family=found.family,
        prediction=objective.prediction,
        zero_terminal_snr=objective.zero_terminal_snr,
        sampling=found.sampling,
        components=found.components,
        ignored=ignored,
        unknown=unknown,
        overrides=overrides,
        notes=tuple(filter(None, (contradiction(found.stated, objective), repair))),
        files=found.files,
        vae_file=vae,
    )
