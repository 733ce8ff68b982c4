"""Runs a worker: hands it its task, passes on how far it is, brings back what came of it."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sakuga.engine import errors
from sakuga.engine.errors import PlanBuildError
from sakuga.export.plans.worker import Record, Task, read_record

_WORKER = "sakuga.export.plans.worker"


def run_worker(task: Task, advance: Callable[[float], None]) -> Record:
    """Do a task in a process of its own; `advance` is told the share done, 0 to 1.

    An exception here, Ctrl-C among them, kills the worker at once. Raises what the worker raised,
    and PlanBuildError where it died.
    """
    log = Path(task.log)
    log.write_bytes(b"")
    with (
        log.open("ab") as complaints,
        subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C in a terminal is for us alone
        ) as process,
    ):
        try:
            answer = _converse(process, task, advance)
            _end(process)
        except BaseException:
            process.kill()
            raise
    if answer is None:
        raise _died(task, process.returncode, log)
    return _result(answer)


def _converse(
    process: "subprocess.Popen[str]", task: Task, advance: Callable[[float], None]
) -> dict[str, Any] | None:
    """The worker's last word, None where it dies without one."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(task.to_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "share" not in message:
            return message
        advance(message["share"])
    return None


def _end(process: "subprocess.Popen[str]") -> None:
    """Close its input, which ends it, and wait."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()


def _result(answer: dict[str, Any]) -> Record:
    if "os" in answer:
        number, text, name = answer["os"]
        raise OSError(number, text, name)
    if "error" in answer:
        parts = answer["error"]
        kind = getattr(errors, parts["kind"])
        raise kind(parts["what"], note=parts["note"], hint=parts["hint"])
    return read_record(answer["record"])


def _died(task: Task, code: int, log: Path) -> PlanBuildError:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    fate = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    memory = " Memory running out is the usual reason for signal 9." if code == -9 else ""
    return PlanBuildError(
        f"The builder died at the network {task.recipe.network}.",
        note=f"It ended with {fate}.{memory} Its last words: {lines[-1] if lines else 'none'}",
        hint=f"Its log is {log}. Close other programs, or build with fewer --shapes.",
    )
