"""Results that somebody waits for, unless they were cancelled meanwhile, and how they fail."""

from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TypeVar

from sakuga.engine.errors import DeadlineError, EngineFault, SakugaError
from sakuga.engine.runtime.slot import Slot

T = TypeVar("T")


def deliver(result: "Future[T]", value: T) -> None:
    """Set the result."""
    with suppress(InvalidStateError):  # cancelled
        result.set_result(value)


def fail(result: "Future[T]", error: BaseException) -> None:
    """Let whoever waits learn why there is none."""
    with suppress(InvalidStateError):  # cancelled
        result.set_exception(error)


def resolve(result: "Future[T]", work: Callable[[], T]) -> None:
    """Set what the work returns, or what it raises."""
    try:
        value = work()
    except BaseException as error:  # whoever waits for the result must learn of it
        fail(result, error)
    else:
        deliver(result, value)


def too_late(slot: Slot) -> DeadlineError:
    """What a picture ends with that is not there by its deadline."""
    total = slot.settings.table.evaluations
    return DeadlineError(
        "The time a picture was wanted in is over.",
        note=f"It had {slot.step} of {total} evaluations behind it.",
        hint="Give it more time, a higher priority, or fewer steps.",
    )


def broken(error: Exception) -> EngineFault:
    """What all end with after an error nobody foresaw."""
    return EngineFault(
        "The engine failed in a way nobody foresaw.",
        note=f"{type(error).__name__}: {error}.",
        hint="Start the process again, and report this with what was asked for.",
    )


def closed() -> SakugaError:
    """What is left ends with when the engine closes."""
    return SakugaError("The engine is closed.", hint="Open the bundle again.")
