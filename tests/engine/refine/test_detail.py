"""A detailer's options check themselves."""

import math

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.detail import Detail


def test_the_defaults_are_adetailer_s() -> None:
    """adetailer/args.py, ADetailerArgs."""
    detail = Detail()
    assert (detail.confidence, detail.min_ratio, detail.max_ratio) == (0.3, 0, 1)
    assert (detail.top_by, detail.top_k, detail.dilate, detail.merge) == ("area", 0, 4, "none")
    assert (detail.x_offset, detail.y_offset, detail.sort) == (0, 0, "none")
    assert (detail.blur, detail.strength) == (4, 0.4)
    assert (detail.only_masked, detail.padding) == (True, 32)
    assert {detail.width, detail.height, detail.steps, detail.guidance, detail.sampler} == {None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": " "}, "needs a detector"),
        ({"confidence": 1.5}, "confidence cannot be 1.5"),
        ({"confidence": math.nan}, "confidence cannot be nan"),
        ({"strength": -0.1}, "strength cannot be -0.1"),
        ({"top_k": -1}, "top_k cannot be -1"),
        ({"top_by": "size"}, "top_by cannot be 'size'"),
        ({"sort": "up"}, "sort cannot be 'up'"),
        ({"merge": "both"}, "merge cannot be 'both'"),
        ({"min_ratio": 0.5, "max_ratio": 0.2}, "No mask takes 0.5"),
        ({"padding": -8}, "padding cannot be -8"),
        ({"blur": -1}, "blur cannot be -1"),
        ({"width": 512}, "needs width and height"),
        ({"width": 0, "height": 64}, "width cannot be 0"),
        ({"steps": 0}, "steps cannot be 0"),
        ({"guidance": math.inf}, "guidance cannot be inf"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as error:
        Detail(**options)  # type: ignore[arg-type]
    assert words in error.value.what
    assert error.value.hint
