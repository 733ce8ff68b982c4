"""Which LoRA to merge, and how strongly: `FILE`, `FILE:0.8`, `FILE:1:0.5`."""

import re
from dataclasses import dataclass
from pathlib import Path

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_SPELT = re.compile(rf"(.+?)(?::({_NUMBER}))?(?::({_NUMBER}))?", re.DOTALL)


@dataclass(frozen=True)
class LoraChoice:
    """A LoRA file and its weights; the UNet's is that of the text encoders where it is None."""

    path: Path
    text_weight: float = 1.0
    unet_weight: float | None = None

    @property
    def weights(self) -> tuple[float, float]:
        """The weights for the text encoders and for the UNet."""
        text = float(self.text_weight)
        return text, text if self.unet_weight is None else float(self.unet_weight)


def parse_choice(text: str) -> LoraChoice:
    """Read `FILE[:TEXT[:UNET]]`, in the order of A1111's `<lora:name:te:unet>`.

    Only numbers at the end are weights, so a path may hold colons; one that exists is taken whole.
    """
    found = _SPELT.fullmatch(text)
    if found is None or Path(text).is_file():
        return LoraChoice(Path(text))
    path, text_weight, unet_weight = found.groups()
    return LoraChoice(
        Path(path),
        1.0 if text_weight is None else float(text_weight),
        None if unet_weight is None else float(unet_weight),
    )
