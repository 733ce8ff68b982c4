"""How many bytes requests may take in this process, from the moment they are read."""

from sakuga.engine.errors import OverloadedError, UsageError
from sakuga.engine.image.source import Source
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.settings import Settings
from sakuga.engine.serve.enlargement import Enlargement

MOST_HELD = 1 << 30  # of bodies being answered and pictures of jobs on their way
MOST_MADE = 1 << 25  # pixels of a picture that is made


class Holding:
    """Counts bytes in and out. Used on the event loop alone."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        self.held = 0

    def take(self, count: int) -> None:
        """Raises OverloadedError where so many more are too many; one alone never is."""
        if self.held and self.held + count > self._most:
            raise OverloadedError(
                "As many pictures lie here as may.", hint="Try again later, or send smaller ones."
            )
        self.held += count

    def give(self, count: int) -> None:
        """They are gone."""
        self.held -= count


def bytes_of(request: Request | Enlargement) -> int:
    """Of the pictures that came with it."""
    if isinstance(request, Enlargement):
        return _file_bytes(request.picture)
    init = request.init
    if init is None:
        return 0
    return _file_bytes(init.picture) + (_file_bytes(init.mask.picture) if init.mask else 0)


def check_made(settings: Settings | Enlargement) -> None:
    """Raise UsageError where a picture would become larger than a server makes."""
    sizes = [settings.size]
    if isinstance(settings, Enlargement):
        sizes.append(settings.enlarged)
    else:
        sizes += [each.size for each in settings.later]
    for size in sizes:
        if size.width * size.height > MOST_MADE:
            raise UsageError(
                f"{size} is larger than this server makes pictures.",
                note=f"It makes up to {MOST_MADE:,} pixels.",
                hint="Ask for a smaller scale.",
            )


def _file_bytes(source: Source) -> int:
    return len(source.origin) if isinstance(source.origin, bytes) else 0
