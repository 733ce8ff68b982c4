"""Callbacks of the real library: they reach their target, and what they raise is not lost."""

import gc
import io
import weakref
from pathlib import Path
from typing import Any

import pytest

from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.callbacks import (
    Guard,
    logger,
    monitor,
    no_garbage_collection,
    stream_writer,
)
from sakuga.export.plans.flavour import load_flavour
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages


@pytest.fixture(scope="module")
def library() -> Any:  # noqa: ANN401
    return load_flavour("rtx").library


class FullDisk(io.BytesIO):
    """A file that takes ten bytes."""

    def write(self, block: Any) -> int:  # noqa: ANN401
        if self.tell() + len(block) > 10:
            raise OSError(28, "No space left on device")
        return super().write(block)


def fail() -> None:
    raise ValueError("first")


def test_a_guard_keeps_the_first_failure_and_runs_nothing_after_it() -> None:
    guard, ran = Guard(), list[str]()

    guard.check()
    assert guard.run(lambda: ran.append("well"))
    assert not guard.run(fail)
    assert not guard.run(lambda: ran.append("never"))
    assert ran == ["well"]
    with pytest.raises(ValueError, match="first"):
        guard.check()


def test_a_monitor_tells_the_stages_and_stops_after_a_failure(library: Any) -> None:  # noqa: ANN401
    stages, guard = Stages(), Guard()
    watching = monitor(library, stages, guard)
    assert isinstance(watching, library.IProgressMonitor)
    watching.phase_start("all", None, 2)
    assert watching.step_complete("all", 0) is True
    assert stages.share == 0.5
    guard.run(fail)
    assert watching.step_complete("all", 1) is False
    assert stages.share == 0.5


def test_a_logger_writes_what_the_library_says(library: Any, tmp_path: Path) -> None:  # noqa: ANN401
    guard = Guard()
    with BuildLog(tmp_path / "log") as log, no_garbage_collection():
        messages = logger(library, log, guard)
        messages.log(library.ILogger.Severity.INTERNAL_ERROR, "broken")
        builder = library.Builder(messages)
        config = builder.create_builder_config()
        assert builder.build_serialized_network(builder.create_network(0), config) is None
    guard.check()
    assert log.errors[0] == "broken"
    assert len(log.errors) > 1, "the library says why an empty network cannot be built"
    assert "INTERNAL_ERROR broken\n" in (tmp_path / "log").read_text()


def test_a_logger_outlives_those_who_made_it(library: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """The library remembers the first of a process and calls it for ever."""
    with BuildLog(tmp_path / "log") as log:
        made = weakref.ref(logger(library, log, Guard()))
    gc.collect()
    assert made() is not None


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_collected_while_the_library_may_call_back(enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(ValueError, match="first"), no_garbage_collection():
            assert not gc.isenabled()
            fail()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_a_log_that_cannot_be_written_is_a_failure_of_the_build(
    library: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    guard, log = Guard(), BuildLog(tmp_path / "log")
    log.__exit__(None, None, None)
    logger(library, log, guard).log(library.ILogger.Severity.INFO, "facts")
    with pytest.raises(ValueError, match="closed file"):
        guard.check()


def test_a_stream_takes_a_plan_piece_by_piece(library: Any) -> None:  # noqa: ANN401
    file, guard = io.BytesIO(), Guard()
    stream = stream_writer(library, HashingWriter(file), guard)
    assert isinstance(stream, library.IStreamWriter)
    assert [stream.write(b"a "), stream.write(b"plan")] == [2, 4]
    assert file.getvalue() == b"a plan"


def test_a_full_disk_stops_the_stream_and_is_told(library: Any) -> None:  # noqa: ANN401
    file, guard = FullDisk(), Guard()
    stream = stream_writer(library, HashingWriter(file), guard)
    assert [stream.write(b"eight by"), stream.write(b"tes"), stream.write(b"1")] == [8, 0, 0]
    assert file.getvalue() == b"eight by"
    with pytest.raises(OSError, match="No space left"):
        guard.check()
