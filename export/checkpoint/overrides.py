"""What the person who builds says of a checkpoint that says nothing, or the wrong thing."""

from dataclasses import dataclass

from sakuga.export.checkpoint.prediction import PredictionType


@dataclass(frozen=True)
class Overrides:
    """How to read a checkpoint; by default everything is as its files say.

    `prediction`: what the UNet predicts. `zero_terminal_snr`: the model was trained with that
    noise schedule. `ema`: take the running average of the UNet's weights (`model_ema.*`) and not
    the weights themselves, which A1111, ComfyUI and diffusers take.
    """

    prediction: PredictionType | None = None
    zero_terminal_snr: bool = False
    ema: bool = False

    def spoken(self) -> tuple[str, ...]:
        """The options of `sakuga build` that mean the same."""
        words = {"epsilon": "--prediction epsilon", "v_prediction": "--prediction v", None: ""}
        zero = "--zero-terminal-snr" if self.zero_terminal_snr else ""
        return tuple(filter(None, (words[self.prediction], zero, "--ema" if self.ema else "")))
