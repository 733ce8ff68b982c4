"""What is kept in GPU memory, for cards of all sizes. Bytes of the full SDXL plans, measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.backend.cuda.residency import Need, Residency, plan_fixed, plan_residency
from sakuga.engine.errors import DeviceMemoryError
from sakuga.profiles.buckets import Size

SIZE = Size(1024, 1024)
AREA = 1024 * 1024
GB = 10**9
SDXL = {
    "text_encoder": Need(250_000_000, 50_000_000, 1, AREA),
    "text_encoder_2": Need(1_390_000_000, 100_000_000, 1, AREA),
    "unet": Need(5_135_000_000, 1_680_000_000, 8, AREA),
    "vae_decoder": Need(100_000_000, 2_300_000_000, 1, AREA),
}
ENCODERS = {"text_encoder", "text_encoder_2"}


def peak(residency: Residency, rows: int) -> int:
    """The most in use at once, added up moment by moment."""
    here = {name: need for name, need in SDXL.items() if name not in residency.visitors}
    always = sum(need.weights for need in here.values())
    always += sum(need.working for name, need in here.items() if name != "unet")
    steps = SDXL["unet"].working * rows // 8
    visits = [SDXL[name].weights + SDXL[name].working for name in residency.visitors]
    if residency.turns:
        return always + max([steps, *visits])
    return always + steps + max(visits, default=0)


@pytest.mark.parametrize(
    ("budget", "rows", "visitors", "turns"),
    [
        (24, 8, set(), False),
        (12, 8, set(), False),
        (10.5, 3, set(), False),
        (10, 2, ENCODERS, False),
        (8.5, 2, {*ENCODERS, "vae_decoder"}, False),
        (8, 8, {*ENCODERS, "vae_decoder"}, True),
        (7.95, 8, {*ENCODERS, "vae_decoder"}, True),
    ],
)
def test_as_much_stays_as_there_is_room_for(
    budget: float, rows: int, visitors: set[str], turns: bool
) -> None:
    found = plan_residency(SDXL, int(budget * GB), SIZE, max_rows=8)
    assert (found.rows, set(found.visitors), found.turns) == (rows, visitors, turns)


@given(st.floats(7.95, 40), st.integers(1, 8))
def test_the_plan_keeps_within_the_memory(budget: float, max_rows: int) -> None:
    found = plan_residency(SDXL, int(budget * GB), SIZE, max_rows)
    assert peak(found, found.rows) <= found.total_bytes <= budget * GB
    assert found.rows <= max_rows
    if found.rows < max_rows:  # one more would not have fitted
        assert peak(found, found.rows + 1) * 1.05 > budget * GB - 10


def test_smaller_pictures_leave_room_for_more_rows() -> None:
    large, small = (plan_residency(SDXL, 8_500_000_000, s, 8) for s in (SIZE, Size(512, 512)))
    assert small.rows > large.rows


def test_what_does_not_fit_says_what_would() -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        plan_residency(SDXL, int(7.0 * GB), SIZE, 8)
    text = str(caught.value)
    assert "7.0 GB" in text and "1024x1024" in text and "weights alone are 6.9 GB" in text
    assert "Up to about 768x768 would fit" in text
    with pytest.raises(DeviceMemoryError, match="No size fits"):
        plan_residency(SDXL, 4 * GB, SIZE, 8)


def test_a_plan_is_said_in_words() -> None:
    assert str(plan_residency(SDXL, 24 * GB, SIZE, 8)) == "8 rows in a call; about 11.6 GB"
    text = str(plan_residency(SDXL, 8 * GB, SIZE, 8))
    assert "loaded only while used: text_encoder, text_encoder_2, vae_decoder" in text
    assert "take turns" in text


@given(st.floats(7.95, 40), st.integers(1, 8))
def test_fixed_rows_do_not_follow_the_memory(budget: float, rows: int) -> None:
    """As much stays as there is room for, and of the rows all or it is an error."""
    try:
        found = plan_fixed(SDXL, int(budget * GB), SIZE, rows)
    except DeviceMemoryError:
        assert plan_residency(SDXL, int(budget * GB), SIZE, rows).rows < rows
    else:
        assert found.rows == rows
        assert peak(found, rows) <= found.total_bytes <= budget * GB


def test_fixed_rows_that_do_not_fit_say_what_to_do() -> None:
    with pytest.raises(DeviceMemoryError) as caught:
        plan_fixed(SDXL, 7 * GB, SIZE, 8)
    text = str(caught.value)
    assert "7.0 GB" in text and "8 rows of 1024x1024" in text and "About 7.9 GB" in text
    assert "--vram" in text and "--max-batch" in text
