"""A LoRA file, opened: its keys in groups, what its metadata say, the hash people know it by."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sakuga.engine.errors import CheckpointError, FileFormatError, UnknownFamilyError
from sakuga.export.adapters.kinds import kind_of
from sakuga.export.adapters.parts import Parts, take_apart
from sakuga.export.adapters.peft_config import PatternError, peft_scale
from sakuga.export.checkpoint.folder import read_config
from sakuga.export.checkpoint.foreign import what_it_is
from sakuga.export.checkpoint.safetensors_file import SafetensorsFile
from sakuga.export.checkpoint.sources import Shape

_DIFFUSERS_CONFIG = "lora_adapter_metadata"  # the configs of all networks, as one JSON table
_PEFT_CONFIG = "adapter_config.json"
_HASH = re.compile(r"[0-9a-f]{12,64}")
_PEFT = "base_model.model."

# Adapters without a form that can be merged here, by what their keys hold.
_UNMERGED = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"\.oft_(R|r|s|embedding_R)\b", "PEFT's OFT"),
        (r"\.boft_[RPs]\b", "PEFT's BOFT"),
        (r"\.ia3_l\b", "PEFT's IA3"),
        (r"\.lora_E\b", "AdaLoRA"),
        (r"\.vera_lambda_", "VeRA"),
        (r"\.hra_u\b", "HRA"),
        (r"\.oft_diag$", "the OFT of LyCORIS before its blocks"),
    )
)


@dataclass(frozen=True)
class LoraFile:
    """An open LoRA; no tensor is read yet. `close` it through `file`."""

    file: SafetensorsFile
    parts: Parts

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.file.path

    @property
    def name(self) -> str:
        """The name prompts and settings give it: the file's, without its ending."""
        return self.path.stem

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits (AutoV3): the hash kohya's scripts write into the file, else that of
        all behind the header, which is how they make it."""
        stated = self.file.metadata.get("sshs_model_hash", "").lower()
        return (stated if _HASH.fullmatch(stated) else self.file.data_sha256())[:12]

    def shapes(self, keys: Mapping[str, str]) -> dict[str, Shape]:
        """Shapes of a module's parts."""
        return {part: self.file.tensors[key].shape for part, key in keys.items()}

    def scale(self, component: str, module: str, rank: int | None) -> float:
        """The scale of a change that has no alpha of its own: 1, or what PEFT's config says. Raises
        FileFormatError for a config that cannot be followed."""
        try:
            return peft_scale(self._configs.get(component, {}), module, rank)
        except PatternError as error:
            raise FileFormatError(
                f"{self.path} cannot be used: how strongly {module} counts is not clear.",
                note=f"Its config speaks of modules by the regular expression {error}.",
                hint="Save it again with the modules' names in alpha_pattern and rank_pattern.",
            ) from None

    @cached_property
    def _configs(self) -> Mapping[str, Mapping[str, object]]:
        """PEFT's config of each network, from the metadata or from the file beside this one."""
        if any(module.startswith(_PEFT) for module in self.parts.modules):
            return {"unet": read_config(self.path.with_name(_PEFT_CONFIG))}
        text = self.file.metadata.get(_DIFFUSERS_CONFIG)
        found: dict[str, dict[str, object]] = {}
        for name, value in self._table(text).items() if text else ():
            component, _, field = name.partition(".")
            found.setdefault(component, {})[field] = value
        return found

    def _table(self, text: str) -> dict[str, object]:
        try:
            table = json.loads(text)
        except (ValueError, RecursionError):
            table = None
        if not isinstance(table, dict):
            raise FileFormatError(
                f"{self.path} cannot be used: its {_DIFFUSERS_CONFIG} is not a table.",
                note="It says how strongly the LoRA is to be scaled.",
                hint="Download the file again, or save it again with diffusers.",
            )
        return table


def open_lora(path: Path) -> LoraFile:
    """Open a LoRA file of any kind. Raises CheckpointError where there is none, FileFormatError
    for what is no strict safetensors file, UnknownFamilyError for what is something else."""
    if not path.exists():
        raise CheckpointError(
            f"There is no LoRA file {path}.",
            hint="Check the path. Weights follow it: --lora FILE:0.8, or --lora FILE:1:0.5 for "
            "text encoders and UNet.",
        )
    file = SafetensorsFile(path)
    parts = take_apart(file.tensors)
    if not is_lora(parts):
        file.close()
        raise _not_a_lora(path, file)
    return LoraFile(file, parts)


def is_lora(parts: Parts) -> bool:
    """Whether some module has the parts of a change that can be merged."""
    return any(kind_of(keys) for keys in parts.modules.values())


def _not_a_lora(path: Path, file: SafetensorsFile) -> UnknownFamilyError:
    shown = ", ".join(sorted(file.tensors)[:3]) or "none"
    what = what_it_is(file.tensors.keys())
    unmerged = [name for pattern, name in _UNMERGED if any(map(pattern.search, file.tensors))]
    if unmerged:
        words = f"is {unmerged[0]}, a kind of adapter Sakuga does not merge"
    elif what == "a LoRA":
        words = "is an adapter of a kind Sakuga does not merge"
    else:
        words = f"is {what}, not a LoRA" if what else "is not a LoRA"
    return UnknownFamilyError(
        f"{path} {words}.",
        note=f"Its first names: {shown}.",
        hint="--lora takes LoRA, LoCon, LoHa, LoKr, DoRA, GLoRA, IA3, OFT, BOFT and differences. "
        "A checkpoint is the MODEL of the build, a VAE goes to --vae.",
    )
