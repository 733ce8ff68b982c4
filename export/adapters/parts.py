"""The keys of LoRA files, taken apart: which module, and which part of its change.

Every trainer has its own endings; the parts they name are few.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Ending of a key to the part it holds. `weight` alone is IA3's, beside `on_input`.
_ENDINGS: Mapping[str, str] = {
    # kohya and LyCORIS
    ".lora_up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    ".dora_scale": "dora_scale",
    **{f".hada_{part}": part for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{
        f".lokr_{part}": f"kron_{part}"
        for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t1", "t2")
    },
    ".oft_blocks": "oft_blocks",
    ".rescale": "rescale",
    ".set_weight": "set",
    ".diff": "diff",
    ".diff_b": "diff_b",
    ".w_norm": "diff",
    ".b_norm": "diff_b",
    ".weight": "factor",
    ".on_input": "on_input",
    **{f".{part}.weight": part for part in ("a1", "a2", "b1", "b2")},
    # PEFT, with and without the adapter's name
    **{
        f".lora_{letter}{adapter}.{leaf}": part + ("_bias" if leaf == "bias" else "")
        for letter, part in (("A", "down"), ("B", "up"))
        for adapter in ("", ".default")
        for leaf in ("weight", "bias")
    },
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector.default.weight": "magnitude",
    # diffusers before PEFT
    ".lora.up.weight": "up",
    ".lora.down.weight": "down",
    "_lora.up.weight": "up",
    "_lora.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
}
_LONGEST_FIRST = sorted(_ENDINGS, key=len, reverse=True)

_EMBEDDING = "bundle_emb."
_PROCESSOR = ".processor."


@dataclass(frozen=True)
class Parts:
    """The keys of a file in groups.

    `modules`: the module as the file spells it, to its keys by part. `strange`: keys of no known
    ending. `embeddings`: the textual inversions that lie in the file too, their names to their keys
    by tensor.
    """

    modules: Mapping[str, Mapping[str, str]]
    strange: tuple[str, ...]
    embeddings: Mapping[str, Mapping[str, str]]


def take_apart(keys: Iterable[str]) -> Parts:
    """Group the keys of a LoRA file by module."""
    modules: dict[str, dict[str, str]] = {}
    strange: list[str] = []
    embeddings: dict[str, dict[str, str]] = {}
    for key in keys:
        ending = next((ending for ending in _LONGEST_FIRST if key.endswith(ending)), None)
        if key.startswith(_EMBEDDING):
            name, _, tensor = key.removeprefix(_EMBEDDING).partition(".")
            embeddings.setdefault(name, {})[tensor] = key
        elif ending is None:
            strange.append(key)
        else:
            module = modules.setdefault(_plain(key.removesuffix(ending)), {})
            if module.setdefault(_ENDINGS[ending], key) != key:
                strange.append(key)  # two spellings of one part
    return Parts(modules, tuple(strange), embeddings)


def _plain(module: str) -> str:
    """diffusers once put the pairs into an attention's processor and counted its output apart."""
    if _PROCESSOR in module:
        module = module.replace(_PROCESSOR, ".")
        return f"{module}.0" if module.endswith(".to_out") else module
    return module
