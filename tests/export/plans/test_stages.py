"""Progress of a builder: a share that never falls."""

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sakuga.export.plans.stages import Stages

TREE = st.recursive(st.integers(1, 4), lambda inner: st.lists(inner, min_size=1, max_size=4))
EVENT = st.tuples(
    st.sampled_from(["start", "step", "finish"]),
    st.sampled_from("abcd"),
    st.sampled_from([None, "a", "b"]),
    st.integers(0, 3),
).filter(lambda event: event[1] > (event[2] or ""))


def run(stages: Stages, told: list[float], name: str, parent: str | None, tree: Any) -> None:  # noqa: ANN401
    """A phase as TensorRT goes through it: a leaf is steps, a list is a phase for each step."""
    steps = tree if isinstance(tree, int) else len(tree)
    stages.start(name, parent, steps)
    for index in range(steps):
        if not isinstance(tree, int):
            run(stages, told, f"{name}.{index}", name, tree[index])
        stages.step(name, index)
        told.append(stages.share)
    stages.finish(name)


@given(TREE)
def test_the_share_never_falls_and_ends_at_one(tree: Any) -> None:  # noqa: ANN401
    stages, told = Stages(), [0.0]
    run(stages, told, "all", None, tree)
    assert told == sorted(told)
    assert told[1] > 0
    assert stages.share == 1.0


@given(st.lists(EVENT, max_size=15))
def test_phases_that_come_and_go_as_they_like_do_no_harm(
    events: list[tuple[str, str, str | None, int]],
) -> None:
    stages, told = Stages(), [0.0]
    stages.start("all", None, 9)
    for event, name, parent, number in events:
        if event == "start":
            stages.start(name, parent, number)
        elif event == "step":
            stages.step(name, number)
        else:
            stages.finish(name)
        told.append(stages.share)
    assert told == sorted(told)
    assert told[-1] <= 1


def test_a_phase_within_a_phase_moves_the_whole_by_its_part() -> None:
    stages = Stages()
    stages.start("all", None, 2)
    stages.start("half", "all", 4)
    stages.step("half", 0)
    assert stages.share == 0.125
    stages.step("half", 3)
    assert stages.share == 0.5
    stages.finish("half")
    stages.step("all", 0)
    assert stages.share == 0.5
    stages.finish("all")
    assert stages.share == 1.0


def test_several_threads_may_report() -> None:
    stages = Stages()
    stages.start("all", None, 4)

    def work(number: int) -> None:
        for step in range(2000):
            stages.start(f"{number}", "all", 2000)
            stages.step(f"{number}", step)
            stages.finish(f"{number}")
        stages.step("all", number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stages.share == 1.0


def test_a_step_whose_root_is_gone_does_no_harm() -> None:
    stages = Stages()
    stages.start("child", "gone", 2)
    stages.step("child", 0)
    assert stages.share == 0
