"""In which order pictures are served. A policy is two numbers; the batcher does the rest.

Priority and deadline come before any policy, and what nobody may starve is the batcher's to see to.
"""

from typing import Protocol

from sakuga.engine.runtime.slot import Slot


class Policy(Protocol):
    """Least goes first. Both are asked of pictures of one priority and one deadline."""

    def slot(self, slot: Slot) -> float:
        """The order of pictures of one size. Asked when one arrives and after each evaluation."""
        ...

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """The order of sizes. `first`: who would lead the tick; `company`: how many could share it;
        `served`: the tick in which this size was last at work."""
        ...


class InOrder:
    """Who came first is served first, and takes along all of the same size."""

    def slot(self, slot: Slot) -> float:
        """In order of arrival."""
        return slot.number

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """The size of whoever came first."""
        return first.number


class ShortestFirst:
    """Least work left first: the lowest mean time where pictures differ in steps."""

    def slot(self, slot: Slot) -> float:
        """In order of work."""
        return slot.work_left

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """The size of whoever is done soonest."""
        return first.work_left


class ShortAhead:
    """In order of arrival, but who is done sooner is let ahead of a few: each evaluation left puts
    a picture half a place back. Nearly the mean time of the shortest first, and nobody is let
    ahead of for long."""

    def slot(self, slot: Slot) -> float:
        """Its place with what is left to do."""
        return slot.number + slot.evaluations_left / 2

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """The size of whoever is first by the same."""
        return self.slot(first)


class FullestFirst:
    """The size with the most pictures to share a tick: calls are as full as they can be."""

    def slot(self, slot: Slot) -> float:
        """In order of arrival."""
        return slot.number

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """The more, the earlier; then who came first."""
        return -company


class TakingTurns:
    """One tick of each size in turn: all go on, none is done soon."""

    def slot(self, slot: Slot) -> float:
        """In order of arrival."""
        return slot.number

    def bucket(self, first: Slot, company: int, served: int) -> float:
        """Whose turn is longest ago."""
        return served


POLICIES = {
    "in-order": InOrder,
    "shortest-first": ShortestFirst,
    "short-ahead": ShortAhead,
    "fullest-first": FullestFirst,
    "taking-turns": TakingTurns,
}
