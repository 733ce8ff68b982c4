"""Tags that contradict each other, and tags that stand twice: only where both are read at once."""

import pytest

from sakuga.engine.lint.card import NO_CARD, card_of
from sakuga.engine.lint.company import conflicts, on_both_sides, repeats
from sakuga.engine.lint.finding import edited
from sakuga.engine.lint.reading import Manner, read
from sakuga.profiles.presets import all_presets
from sakuga.profiles.tags import tag_table

ANIMAGINE = card_of(all_presets()["animagine-xl-3.1"])


def clashes(prompt: str) -> list[str]:
    return [each.sentence for each in conflicts(read(prompt, Manner()), NO_CARD)]


@pytest.mark.parametrize(
    ("prompt", "pair"),
    [
        ("1girl, No_Humans", "'1girl' and 'No_Humans'"),
        ("solo, (2girls:1.2)", "'solo' and '2girls'"),
        ("multiple girls, solo", "'multiple girls' and 'solo'"),
        ("1girl, long_hair, hat, short hair", "'long_hair' and 'short hair'"),
        ("1girl, 2girls", "'1girl' and '2girls'"),
        ("day, sky, night", "'day' and 'night'"),
        ("indoors BREAK x, day, night", "'day' and 'night'"),
        ("[day:sky:0.5], night", "'day' and 'night'"),
    ],
)
def test_contradictions(prompt: str, pair: str) -> None:
    assert clashes(prompt) == [f"{pair} contradict each other."]


@pytest.mark.parametrize(
    "prompt",
    [
        "2girls, multiple girls, long hair, short hair",  # hers and hers
        "1girl, 1boy, standing, sitting",
        "long hair, very long hair",
        "no humans, solo, cat",
        "[day:night:0.5], [indoors|outdoors]",  # never both
        "day BREAK night",
        "day AND night",
        "upper body, night, outdoors",
    ],
)
def test_no_contradictions(prompt: str) -> None:
    assert clashes(prompt) == []


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("1girl, newest, old, oldest", "'newest' and 'oldest' are both year tags"),
        ("general, explicit, nsfw", "'general' and 'explicit' are both rating tags"),
        ("general, nsfw", "'general' and 'nsfw' are both rating tags"),
        ("best quality, worst quality", "'best quality' and 'worst quality' are opposite ends of"),
        ("displeasing, very aesthetic", "'displeasing' and 'very aesthetic' are opposite ends of"),
    ],
)
def test_contradictions_of_a_card(prompt: str, sentence: str) -> None:
    (found,) = conflicts(read(prompt, Manner()), ANIMAGINE)
    assert found.sentence.startswith(sentence) and found.code == "conflict"


@pytest.mark.parametrize(
    "prompt",
    ["explicit, nsfw", "masterpiece, best quality, great quality", "worst quality, low quality"],
)
def test_what_goes_together_in_a_card(prompt: str) -> None:
    assert [*conflicts(read(prompt, Manner()), ANIMAGINE)] == []


def test_tags_on_both_sides() -> None:
    found = on_both_sides(read("a, (NSFW:1.1), b, nsfw", Manner()), frozenset({"nsfw"}), "that")
    (only,) = found
    assert only.sentence == "'NSFW' stands in that too." and only.start == 4


@pytest.mark.parametrize(
    ("prompt", "left", "sentence"),
    [
        ("smile, hat, Smile", "smile, hat", "'Smile' stands there twice."),
        ("blue_eyes, (blue eyes:1.3)", "blue_eyes", "'blue eyes' stands there twice."),
        ("(a:1.2), b, a, (a), c", "(a:1.2), b, c", "'a' stands there 3 times more."),
        ("a, (b, a, c:1.1)", "a, (b, c:1.1)", "'a' stands there twice."),
        ("a, [a:b:0.5]", "a, [a:b:0.5]", "'a' stands there twice."),
        ("[a:b:0.5], a", "[a:b:0.5], a", "'a' stands there twice."),
        ("[a|b], a, a", "[a|b], a", "'a' stands there 2 times more."),
    ],
)
def test_repetitions(prompt: str, left: str, sentence: str) -> None:
    (found,) = repeats(read(prompt, Manner()), "prompt")
    assert edited(prompt, found.mend.edits if found.mend else ()) == left
    assert found.code == "repeat"


@pytest.mark.parametrize("prompt", ["a BREAK a", "a AND a", "[a:b:0.5], [b:a:0.5]", "a, a b, (b)"])
def test_no_repetitions(prompt: str) -> None:
    assert [*repeats(read(prompt, Manner()), "prompt")] == []


def test_the_table_contradicts_itself_nowhere() -> None:
    for clash in tag_table().clashes:
        names = [name for side in clash.sides for name in side]
        assert len(names) == len(set(names)) and len(clash.sides) > 1
