"""TensorRT's log: what goes to the file, what is kept, what is read out of it."""

import threading
from pathlib import Path

import pytest

from sakuga.export.plans.log import BuildLog

# As TensorRT for RTX 1.7 writes them.
MEMORY = "Total Activation Memory: {} bytes"
DRIVER = "Error Code 35: CUDA driver version is insufficient for CUDA runtime version"
LAYERS = """Engine Layer Information:
Layer(kgen): __myl_MulCast_myl0_0
Name: _gemm_mha_v2_myl0_5, LayerType: kgen
Name: __mha_myl0_9
Name: __myl_Add_myl0_2, Inputs: [mha: Half(1)]
"""


@pytest.fixture
def log(tmp_path: Path) -> BuildLog:
    return BuildLog(tmp_path / "unet.log")


def test_everything_but_chatter_goes_to_the_file(log: BuildLog) -> None:
    with log:
        log.write("VERBOSE", "chatter")
        log.write("INFO", "facts")
        log.write("WARNING", "Größe")
        log.write("ERROR", "reasons")
    assert log.path.read_text(encoding="utf-8").splitlines() == [
        "INFO facts",
        "WARNING Größe",
        "ERROR reasons",
    ]


def test_a_killed_builder_leaves_what_it_said(log: BuildLog) -> None:
    log.write("ERROR", "the last words")
    assert log.path.read_text(encoding="utf-8") == "ERROR the last words\n"
    log.__exit__(None, None, None)


def test_the_first_errors_are_kept_for_the_exception(log: BuildLog) -> None:
    with log:
        for number in range(100):
            log.write("ERROR" if number % 2 else "INTERNAL_ERROR", f" error {number}\n")
        log.write("WARNING", "no error")
    assert log.errors == [f"error {number}" for number in range(20)]


def test_the_largest_memory_of_all_profiles_counts(log: BuildLog) -> None:
    with log:
        for activations in (300, 5_000_000_000, 20):
            log.write("INFO", MEMORY.format(activations))
    assert log.activation_bytes == 5_000_000_000


def test_fused_attentions_are_counted_in_the_chatter_over_all_profiles(log: BuildLog) -> None:
    with log:
        log.write("VERBOSE", LAYERS)
        log.write("VERBOSE", LAYERS)
    assert log.fused_attentions == 4
    assert log.path.read_text() == ""


def test_what_a_build_without_a_gpu_says_of_its_driver_is_no_reason(log: BuildLog) -> None:
    with log:
        log.write("ERROR", DRIVER)
        log.write("ERROR", "the reason")
    assert log.errors == ["the reason"]
    assert DRIVER in log.path.read_text()


def test_what_is_in_the_file_already_stays(tmp_path: Path) -> None:
    """The worker's own complaints go to the same file."""
    path = tmp_path / "unet.log"
    path.write_text("a complaint\n")
    with BuildLog(path) as log:
        log.write("INFO", "facts")
    assert path.read_text() == "a complaint\nINFO facts\n"


def test_many_threads_write_whole_lines(log: BuildLog) -> None:
    def say(number: int) -> None:
        for _ in range(50):
            log.write("ERROR", f"{number} " * 40)
            log.write("VERBOSE", LAYERS)

    with log:
        threads = [threading.Thread(target=say, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = log.path.read_text().splitlines()
    assert sorted(lines) == sorted(
        [f"ERROR {number} " + f"{number} " * 39 for number in range(4)] * 50
    )
    assert log.fused_attentions == 4 * 50 * 2
    assert len(log.errors) == 20
