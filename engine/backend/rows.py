"""Whether the rows of a network call know of each other."""

from collections.abc import Mapping

from sakuga.engine.backend.base import Array, Session
from sakuga.engine.errors import RenderError
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE


class CheckedRows:
    """A UNet that is seen to give its rows the bits they have alone.

    Promised to users, and true of ONNX Runtime with full optimisation wherever it was tried; where
    it is not, pictures that share calls would depend on each other. So of the first call of each
    shape that has more rows than one picture, one picture's are run again by themselves.
    """

    def __init__(self, unet: Session) -> None:
        self._unet = unet
        self._seen: set[tuple[tuple[int, ...], ...]] = set()

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RenderError where rows differ, and what the UNet raises."""
        outputs = self._unet.run(inputs)
        shapes = tuple(array.shape[1:] for array in inputs.values())
        rows = len(next(iter(inputs.values())))
        if rows > ROWS_PER_PICTURE and shapes not in self._seen:
            few = {name: array[:ROWS_PER_PICTURE] for name, array in inputs.items()}
            for name, alone in self._unet.run(few).items():
                if alone.tobytes() != outputs[name][:ROWS_PER_PICTURE].tobytes():
                    raise _they_differ()
            self._seen.add(shapes)
        return outputs


def _they_differ() -> RenderError:
    return RenderError(
        "On this machine a picture's bits depend on the pictures beside it.",
        note="ONNX Runtime gives a row of a network call other bits in company than alone.",
        hint="Render with --threads 1, which has one picture at a time, and report this with "
        "the processor's name.",
    )
