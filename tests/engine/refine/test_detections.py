"""Which detections are worked on, and in which order."""

import math

from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.detections import Detection, select
from sakuga.profiles.buckets import Size

SIZE = Size(100, 50)
_SIDES = st.tuples(st.floats(0, 60), st.floats(0, 40), st.floats(0.5, 40), st.floats(0.5, 10))
FOUND = st.lists(
    st.builds(
        lambda side, confidence: Detection(
            (side[0], side[1], side[0] + side[2], side[1] + side[3]), confidence
        ),
        _SIDES,
        st.floats(0.3, 1),
    ),
    max_size=12,
)


def box(left: float, top: float, width: float, height: float, confidence: float = 0.9) -> Detection:
    return Detection((left, top, left + width, top + height), confidence)


SMALL, WIDE, TALL = box(70, 5, 10, 10, 0.8), box(30, 20, 40, 12, 0.5), box(2, 2, 12, 20, 0.9)
ALL = [SMALL, WIDE, TALL]


def test_area_and_middle_of_a_box() -> None:
    assert (WIDE.area, WIDE.middle) == (480, (50, 26))


def test_all_stay_as_they_were_found_where_nothing_is_asked() -> None:
    assert select(ALL, SIZE, Detail()) == ALL


def test_ratios_are_of_the_box_and_take_their_bounds() -> None:
    assert select(ALL, SIZE, Detail(min_ratio=0.02, max_ratio=0.048)) == [SMALL, TALL]
    assert select(ALL, SIZE, Detail(min_ratio=0.096, max_ratio=0.096)) == [WIDE]


def test_the_top_k_come_first_to_last() -> None:
    assert select(ALL, SIZE, Detail(top_k=2)) == [WIDE, TALL]
    assert select(ALL, SIZE, Detail(top_k=2, top_by="confidence")) == [TALL, SMALL]
    assert select(ALL, SIZE, Detail(top_k=9)) == [WIDE, TALL, SMALL]


def test_of_equals_the_last_found_is_the_first_of_the_top() -> None:
    """So it is in ADetailer, which turns the ascending order round."""
    same = [box(0, 0, 5, 5), box(20, 0, 5, 5), box(40, 0, 5, 5)]
    assert select(same, SIZE, Detail(top_k=2)) == [same[2], same[1]]


def test_ratios_go_before_the_top_k_and_that_before_the_order() -> None:
    options = Detail(max_ratio=0.09, top_k=1, sort="left to right")
    assert select(ALL, SIZE, options) == [TALL]


def test_the_four_orders() -> None:
    assert select(ALL, SIZE, Detail(sort="left to right")) == [TALL, WIDE, SMALL]
    assert select(ALL, SIZE, Detail(sort="center to edge")) == [WIDE, SMALL, TALL]
    assert select(ALL, SIZE, Detail(sort="area")) == [WIDE, TALL, SMALL]


@given(FOUND, st.integers(1, 12), st.sampled_from(["area", "confidence"]))
def test_nothing_left_out_beats_what_is_in_the_top(found: list[Detection], k: int, by: str) -> None:
    chosen = select(found, SIZE, Detail(top_k=k, top_by="area" if by == "area" else "confidence"))
    assert len(chosen) == min(k, len(found))
    values = [getattr(each, by) for each in chosen]
    assert values == sorted(values, reverse=True)
    rest = [getattr(each, by) for each in found if all(each is not other for other in chosen)]
    assert not chosen or max(rest, default=-math.inf) <= values[-1]


@given(FOUND)
def test_every_order_keeps_everything_and_equals_in_place(found: list[Detection]) -> None:
    for sort in ("left to right", "center to edge", "area"):
        ordered = select(found, SIZE, Detail(sort=sort))
        assert {id(each) for each in ordered} == {id(each) for each in found}
    twice = select([*found, *found], SIZE, Detail(sort="area"))
    assert [each.area for each in twice] == sorted((each.area for each in twice), reverse=True)
