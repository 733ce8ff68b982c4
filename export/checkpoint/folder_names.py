"""Names in diffusers folders: the canonical ones and what older or newer writers call them."""

from sakuga.export.checkpoint.sources import Source, Table
from sakuga.profiles.families import Family
from sakuga.profiles.weights import weights

# Before version 0.15, diffusers named the VAE's attention like this, as 1x1 convolutions at times.
_OLD_ATTENTION = {
    ".to_q.": ".query.",
    ".to_k.": ".key.",
    ".to_v.": ".value.",
    ".to_out.0.": ".proj_attn.",
}


def folder_tables(family: Family) -> dict[str, Table]:
    """Tables of all components, by the name of their folder."""
    return {
        component: {name: _sources(component, name) for name in shapes}
        for component, shapes in weights(family).items()
    }


def _sources(component: str, name: str) -> tuple[Source, ...]:
    if component.startswith("text_encoder"):
        return (Source(name), Source(name.removeprefix("text_model.")))
    if component == "vae" and ".attentions." in name:
        return (_linear(name), _linear(_old_name(name)))
    return (Source(name),)


def _linear(name: str) -> Source:
    is_projection = name.endswith(".weight") and "group_norm" not in name
    return Source(name, "squeezed" if is_projection else "same")


def _old_name(name: str) -> str:
    for new, old in _OLD_ATTENTION.items():
        name = name.replace(new, old)
    return name
