"""The LoRAs of a build: opened, matched, and merged in the order given."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sakuga.engine.errors import TensorError, UsageError
from sakuga.engine.manifest import LoraEntry
from sakuga.export.adapters.bundled import BundledVectors, bundled_in, joined
from sakuga.export.adapters.choice import LoraChoice
from sakuga.export.adapters.lora_file import LoraFile, open_lora
from sakuga.export.adapters.match import Matched, match
from sakuga.export.adapters.merge import Merger, Update
from sakuga.export.bind import Adapt
from sakuga.export.counted import counted
from sakuga.profiles.families import Family

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class LoraStack:
    """Open LoRAs that fit a family; `entries` is what a manifest says of them, `embeddings` are
    the textual inversions they bring."""

    entries: tuple[LoraEntry, ...]
    embeddings: BundledVectors
    _merger: Merger

    def before(self, adapt: Adapt) -> Adapt:
        """An adapter that merges, see `Merger.merged`, and then does what `adapt` does."""
        return lambda name, values: adapt(name, self._merger.merged(name, values))


@contextmanager
def open_loras(choices: Sequence[LoraChoice], family: Family, strict: bool) -> Iterator[LoraStack]:
    """Open and match the LoRAs. A weight of 0 leaves its networks byte for byte as they are.

    Raises UsageError for a weight that is no finite number, for two files of one name and for two
    embeddings of one, with `strict` TensorError for keys that match nothing, and what `open_lora`
    and `match` raise.
    """
    _check(choices)
    with ExitStack() as opened:
        entries: list[LoraEntry] = []
        updates: list[Update] = []
        embeddings: list[tuple[LoraFile, BundledVectors]] = []
        for choice in choices:
            lora = open_lora(choice.path)
            opened.callback(lora.file.close)
            found, brought = match(lora, family), bundled_in(lora, family.text_encoders)
            unmatched = tuple(sorted((*found.unmatched, *brought.unmatched)))
            if strict and unmatched:
                raise _unmatched(lora.path, unmatched, family)
            entries.append(_entry(lora, choice, unmatched, tuple(brought.vectors)))
            updates += _updates(choice, found)
            embeddings.append((lora, brought.vectors))
        yield LoraStack(tuple(entries), joined(embeddings), Merger(updates))


def _check(choices: Sequence[LoraChoice]) -> None:
    for choice in choices:
        if not all(map(math.isfinite, choice.weights)):
            raise UsageError(
                f"The weight of {choice.path} is no finite number.",
                hint="Give one such as 0.8.",
            )
    for name, count in Counter(choice.path.stem for choice in choices).items():
        if count > 1:
            raise UsageError(
                f"{counted(count, 'LoRA')} are named {name}.",
                note="The settings in a picture tell LoRAs apart by their names.",
                hint="Give each file once, with the sum of its weights, or rename one.",
            )


def _entry(
    lora: LoraFile, choice: LoraChoice, unmatched: tuple[str, ...], embeddings: tuple[str, ...]
) -> LoraEntry:
    text, unet = choice.weights
    return LoraEntry(
        name=lora.name,
        hash=lora.hash,
        sha256=lora.file.sha256(),
        text_weight=text,
        unet_weight=unet,
        unmatched=unmatched,
        embeddings=embeddings,
    )


def _updates(choice: LoraChoice, found: Matched) -> Iterator[Update]:
    text, unet = choice.weights
    for change in found.changes:
        weight = unet if change.component == "unet" else text
        if weight != 0:
            yield Update(change, weight)


def _unmatched(path: Path, keys: Sequence[str], family: Family) -> TensorError:
    shown = ", ".join(keys[:_SHOWN])
    return TensorError(
        f"{counted(len(keys), 'key')} of {path} mean nothing to {family.name}.",
        note=shown + (", …" if len(keys) > _SHOWN else "") + ".",
        hint="Leave out --strict-lora to merge the rest of it.",
    )
