"""Padding `full`: a picture's bits never depend on its neighbours, nor on memory that runs out.

On a GPU the shape of a call decides which kernels run, and other kernels sum in another order. The
networks here do the same on purpose: their last bits tell how many rows came with a row.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sakuga.engine.backend.base import Session
from sakuga.engine.backend.cuda.calls import Padding
from sakuga.engine.backend.cuda.host_driver import HostDriver, HostSession
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import DeviceMemoryError
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.runtime.request import Request

EngineOn = Callable[..., AbstractContextManager[Engine]]
Rows = dict[str, set[int]]

SMALL = Request("1girl, green hair", "lowres", width=128, height=160, steps=3, seed=11)
MANY_ROWS = replace(SMALL, prompt="1girl AND hat AND smile AND night AND snow", steps=2)
# Whoever comes before, beside and after it: with one row, two, or rows of longer prompts; with its
# own prompts, so that they are known, and with others.
COMPANY = [
    replace(SMALL, guidance=1.0, seed=1, steps=2),
    replace(SMALL, prompt="2boys", seed=2, steps=4),
    replace(SMALL, prompt="girl " * 85, seed=3, steps=2),
    replace(SMALL, seed=4, width=160, height=128, steps=2),
]


class ByShape:
    """A network whose last bits are those of the shape of the call."""

    def __init__(self, name: str, session: Session, seen: Rows) -> None:
        self._name, self._session, self._seen = name, session, seen

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        rows = len(next(iter(inputs.values())))
        self._seen[self._name].add(rows)
        outputs = self._session.run(inputs)
        return {name: array * array.dtype.type(1 + rows / 1024) for name, array in outputs.items()}


def bits_and_rows(
    engine_on: EngineOn, bundle: Bundle, padding: Padding, needle: Request
) -> tuple[set[bytes], Rows]:
    """The different pictures made of one request, alone and in company, and by network the
    different rows of a call."""
    seen: Rows = defaultdict(set)

    def change(name: str, session: HostSession) -> DeviceSession:
        session._session = ByShape(name, session._session, seen)
        return session

    options, found = CudaOptions(rows=5, vae_rows=2, padding=padding), set[bytes]()
    for requests in (
        [needle],
        [*COMPANY[:2], needle, needle, *COMPANY[2:]],
        [*COMPANY[::-1], needle],
    ):
        with engine_on(bundle, HostDriver(), options, change) as engine:
            for picture in engine.render_many(requests):
                if requests[picture.index] is needle:
                    found.add(picture.pixels.tobytes())
    return found, seen


@pytest.mark.parametrize("needle", [SMALL, MANY_ROWS], ids=["two rows", "more rows than a call"])
def test_company_changes_no_bit(engine_on: EngineOn, sdxl_bundle: Bundle, needle: Request) -> None:
    found, seen = bits_and_rows(engine_on, sdxl_bundle, "full", needle)
    assert len(found) == 1
    assert seen == {"unet": {5}, "vae_decoder": {2}, "text_encoder": {1}, "text_encoder_2": {1}}


def test_without_it_company_does(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    found, seen = bits_and_rows(engine_on, sdxl_bundle, "captured", SMALL)
    assert len(found) > 1
    assert all(len(rows) > 1 for rows in seen.values()), seen


LARGE = 64 << 20  # all that is not working memory fits into it several times


def test_memory_that_runs_out_is_an_error_and_no_other_bits(
    engine_on: EngineOn, sdxl_bundle: Bundle
) -> None:
    """Room for the working memory of three rows, where every call has six."""
    driver, options = HostDriver(3 * LARGE + LARGE // 2), CudaOptions(rows=6, padding="full")
    with engine_on(sdxl_bundle, driver, options, unet=LARGE) as engine:
        for _ in range(2):
            with pytest.raises(DeviceMemoryError, match="128x160 with 6 rows") as caught:
                engine.render(SMALL)
            assert "without `deterministic`" in caught.value.hint
        assert engine._worker.device.rows == 6
        assert engine.fault is None


def test_the_steps_still_make_room_for_others(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    """Not enough for both at once: nothing but time is lost."""
    driver, options = HostDriver(2 * LARGE + LARGE // 2), CudaOptions(rows=2, padding="full")
    with engine_on(sdxl_bundle, HostDriver(), options) as engine:
        wanted = engine.render(SMALL).pixels
    with engine_on(
        sdxl_bundle, driver, options, unet=LARGE, vae_decoder=LARGE, text_encoder=LARGE
    ) as engine:
        for _ in range(2):
            assert np.array_equal(engine.render(SMALL).pixels, wanted)
            engine.render(COMPANY[1])


def test_pictures_say_how_many_rows_all_calls_had(engine_on: EngineOn, sdxl_bundle: Bundle) -> None:
    options = CudaOptions(rows=5, padding="full")
    with engine_on(sdxl_bundle, HostDriver(), options) as engine:
        picture = engine.render(replace(SMALL, steps=1))
        again = engine.remake(parse_infotext(picture.parameters))
    assert engine.backend.endswith(", 5 rows in every call")
    assert f'"{engine.backend}"' in picture.parameters
    with engine_on(sdxl_bundle, HostDriver()) as engine:
        (doubt,) = engine.remake(parse_infotext(picture.parameters)).notes
    assert again.notes == () and "5 rows in every call" in doubt
