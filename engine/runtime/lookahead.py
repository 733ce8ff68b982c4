"""Many pictures, no more of them at once than the device can use."""

from collections.abc import Iterable, Iterator
from queue import SimpleQueue

from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.ticket import Ticket


def in_order_of_completion(tickets: Iterable[Ticket], ahead: int) -> Iterator[Picture]:
    """The pictures as they come. Taking a ticket hands a picture in, so `ahead` are at any time.

    Raises what a picture raises, at its turn. Whoever stops early takes the rest off the device.
    """
    done: SimpleQueue[Ticket] = SimpleQueue()
    waiting: set[Ticket] = set()
    source = iter(tickets)
    try:
        while True:
            while len(waiting) < ahead and (ticket := next(source, None)) is not None:
                waiting.add(ticket)
                ticket.add_done_callback(done.put)
            if not waiting:
                return
            finished = done.get()
            waiting.remove(finished)
            yield finished.result()
    finally:
        for ticket in waiting:
            ticket.cancel()
