"""What a model's card says about using it."""

from dataclasses import dataclass
from typing import Literal

from sakuga.profiles.buckets import Size, SizeRule


@dataclass(frozen=True, kw_only=True)
class Licence:
    """The model's licence. `id`: SPDX's identifier, else the one hubs use; "" where there is none.

    `meaning` says in a plain line what it asks of people; the text of the licence is what counts.
    """

    name: str
    meaning: str
    id: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A tag the model was trained to follow, or several in one text, as in "explicit, nsfw".

    `aliases`: other spellings that work as well. `retired`: those of earlier versions, which `tag`
    replaces. `instead_of`: tags of other models that `tag` is the equivalent of. `poor`: it names
    what pictures should not have, so it belongs into a negative prompt.
    """

    tag: str
    meaning: str = ""
    aliases: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    instead_of: tuple[str, ...] = ()
    poor: bool = False


@dataclass(frozen=True, kw_only=True)
class TagGroup:
    """Tags that say one kind of thing, such as quality, rating or year, in the card's order.

    `exclusive`: a picture has one of them at most.
    """

    group: str
    meaning: str
    tags: tuple[Tag, ...]
    exclusive: bool = False


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in the recommended order of tags; one called like a group is where its tags stand,
    `character count` and `character` are where those stand that every model knows.

    `like`: patterns of the tags that stand there, with * for any words. `several_last`: where there
    is more than one of them, they go behind everything else.
    """

    slot: str
    example: str = ""
    like: tuple[str, ...] = ()
    several_last: bool = False


@dataclass(frozen=True, kw_only=True)
class Avoid:
    """Something the card advises against, and where it should not stand.

    How it is recognised in a prompt: by `tags`, `what` itself where none are given; as special tags
    of other models, if they are of one of `groups`; as a tag of more than `words` words. `delete`:
    the card wants it taken out.
    """

    what: str
    where: Literal["prompt", "negative prompt", "embeddings", "vae", "refiner"]
    reason: str
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    words: int | None = None
    delete: bool = False


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A model's recommended settings. What is optional and absent, the card says nothing of.

    title, source, licence: the model, its card, its terms.
    family: a key of FAMILIES.
    hashes: first ten hex digits of the SHA-256 of known files.
    vae: which one the card wants, in words.
    clip_skip: as A1111 counts.
    size: used where a request says none. sizes: those the card lists.
    sides, pixels_range: what it says of others: the sides, and width times height.
    sampler, schedule: A1111's names; the schedule goes with the sampler.
    steps_range, guidance_range: lowest and highest recommended.
    prefix, suffix: tags that go before and behind a prompt. negative_prompt: where none is given.
    max_tokens: of a prompt.
    example: a whole prompt, which takes no prefix and no suffix.
    order: the template of a prompt. tags: special ones. avoid: what to leave out. advice: the rest.
    name, file: the file's name without its ending, and the file.
    """

    name: str
    file: str
    title: str
    source: str
    licence: Licence
    family: str
    hashes: tuple[str, ...] = ()
    vae: str = "its own"
    clip_skip: int | None = None
    size: Size
    sizes: tuple[Size, ...] = ()
    sides: SizeRule | None = None
    pixels_range: tuple[int, int] | None = None
    sampler: str
    schedule: str | None = None
    steps: int
    steps_range: tuple[int, int] | None = None
    guidance: float
    guidance_range: tuple[float, float] | None = None
    prefix: str = ""
    suffix: str = ""
    negative_prompt: str = ""
    max_tokens: int | None = None
    example: str = ""
    order: tuple[Slot, ...] = ()
    tags: tuple[TagGroup, ...] = ()
    avoid: tuple[Avoid, ...] = ()
    advice: tuple[str, ...] = ()

    def recommends(self, size: Size) -> bool:
        """Whether the card lists the size, or its rule for other sizes allows it."""
        if size == self.size or size in self.sizes:
            return True
        if self.sides is None and self.pixels_range is None:
            return not self.sizes
        low, high = self.pixels_range or (0, size.width * size.height)
        within = low <= size.width * size.height <= high
        return within and (self.sides is None or self.sides.allows(size))

    def doubts(self, size: Size, steps: int, guidance: float) -> tuple[str, ...]:
        """A sentence for each setting outside what the card recommends.

        It names the recommendation and not the setting, so it is the same for every picture.
        """
        found = []
        if not _within(guidance, self.guidance_range):
            found.append(f"guidance {_span(self.guidance_range)}")
        if not _within(steps, self.steps_range):
            found.append(f"{_span(self.steps_range)} steps")
        if not self.recommends(size):
            found.append(_size_words(self))
        return tuple(f"The card of {self.title} recommends {words}." for words in found)


def _size_words(preset: Preset) -> str:
    rules = []
    if preset.sides is not None:
        rule = preset.sides
        rules.append(f"sides from {rule.minimum} to {rule.maximum}, multiples of {rule.step}")
    if preset.pixels_range is not None:
        low, high = (pixels / 1e6 for pixels in preset.pixels_range)
        rules.append(f"{low:.2f} to {high:.2f} million pixels")
    return " and ".join(rules) or f"the sizes {', '.join(map(str, preset.sizes))}"


def _within(value: float, span: tuple[float, float] | None) -> bool:
    return span is None or span[0] <= value <= span[1]


def _span(span: tuple[float, float] | None) -> str:
    low, high = span or (0, 0)
    return f"{low:g} to {high:g}"
