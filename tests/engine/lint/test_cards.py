"""What the cards say of tags; and that they find nothing against their own words."""

import pytest

from sakuga.engine.lint.finding import Finding
from sakuga.engine.lint.length import Length, Ruler
from sakuga.engine.lint.linter import Linter, Question
from sakuga.engine.lint.reading import Manner
from sakuga.engine.text.segments import Rule
from sakuga.profiles.presets import all_presets

PRESETS = all_presets()
ANIMAGINE, AIDXL, V2, V3 = "animagine-xl-3.1", "aidxl", "baxl-v2", "baxl-v3"
# The order of AIDXL's card with the card's own words in every place.
AIDXL_ORDER = (
    "by xxx, a girl named frieren from sousou no frieren series, elf, cowboy shot, impasto style, "
    "fantasy theme, in the forest, at day, gradient background, sitting on ground, is "
    "expressionless, white hair, twintails, green eyes, parted lip, wearing a white dress, frills, "
    "a cat, grass, sunshine, beautiful color, detailed, aesthetic, (best quality:1.3)"
)
# The pictures beside the head of Anything's card.
ANYTHING_WIDGET = (
    "masterpiece, best quality, 1boy, medium hair, blonde hair, blue eyes, bishounen, colorful, "
    "autumn, cumulonimbus clouds, lighting, blue sky, falling leaves, garden"
)
ANIMAGINE_WIDGET = (
    "1boy, male focus, green hair, sweater, looking at viewer, upper body, beanie, outdoors, "
    "night, turtleneck, masterpiece, best quality, very aesthetic, absurdes"
)


def lint(
    ruler: Ruler, preset: str, prompt: str, negative: str | None = None, rule: Rule = "a1111"
) -> list[Finding]:
    question = Question(prompt, negative, Manner(rule))
    return [*Linter(PRESETS[preset], ruler).lint(question).findings]


def codes(found: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(each.code, each.sentence.split("'")[1], each.replacement) for each in found]


@pytest.mark.parametrize("name", PRESETS)
def test_a_card_has_nothing_against_its_own_words(ruler: Ruler, name: str) -> None:
    preset = PRESETS[name]
    around = f"{preset.prefix}, 1girl, smile, {preset.suffix}"
    for prompt in (preset.example, around):
        for negative in (None, preset.negative_prompt):
            assert lint(ruler, name, prompt, negative) == []
        if r"\(" not in prompt:
            assert lint(ruler, name, prompt, rule="comfy") == []


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        (AIDXL, AIDXL_ORDER),
        (ANIMAGINE, ANIMAGINE_WIDGET),
        ("anything-v3.1", ANYTHING_WIDGET),
        (AIDXL, r"lucy \(cyberpunk\), (amazing quality:1.5)"),
        (AIDXL, r"(by xxx:0.6), 1girl, ganyu \(genshin impact\), silver evening gown"),
        (V3, "1girl, hakoniwa, blue theme, halo, best quality"),
    ],
)
def test_examples_in_the_text_of_the_cards(ruler: Ruler, name: str, prompt: str) -> None:
    assert lint(ruler, name, prompt) == []


def test_the_longest_example_has_two_chunks(ruler: Ruler) -> None:
    report = Linter(PRESETS[AIDXL], ruler).lint(Question(AIDXL_ORDER))
    assert report.lengths["prompt"] == Length(tokens=85, chunks=2)


@pytest.mark.parametrize(
    ("name", "rule", "sentence"),
    [
        # ComfyUI has no brackets that lessen, diffusers none at all, whatever a card writes.
        (ANIMAGINE, "comfy", "'[abstract]' is read as words: ComfyUI knows no square brackets."),
        (ANIMAGINE, "diffusers", "The brackets around 'bad' are read as text, and so is 1 more"),
        (AIDXL, "diffusers", "The brackets around 'worst quality' are read as text: diffusers"),
    ],
)
def test_a_card_s_negative_prompt_in_another_tool(
    ruler: Ruler, name: str, rule: Rule, sentence: str
) -> None:
    (found,) = lint(ruler, name, "1girl", PRESETS[name].negative_prompt, rule)
    assert found.where == "negative prompt" and found.sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        (ANIMAGINE, "1girl, High_Quality", ("retired-tag", "High_Quality", "great quality")),
        (ANIMAGINE, "1girl, (rating: general:1.2)", ("retired-tag", "rating: general", "general")),
        (ANIMAGINE, "1girl, rating:explicit", ("retired-tag", "rating:explicit", "explicit, nsfw")),
        (ANIMAGINE, "1girl, late", ("retired-tag", "late", "recent")),
        (ANIMAGINE, "1girl, flat_coating", ("foreign-tag", "flat_coating", None)),
        (ANIMAGINE, "1girl, amazing quality", ("foreign-tag", "amazing quality", "masterpiece")),
        (ANIMAGINE, "1girl, score_8_up", ("foreign-tag", "score_8_up", None)),
        (ANIMAGINE, "1girl, rating_safe", ("foreign-tag", "rating_safe", "general")),
        (ANIMAGINE, "1girl, raw photo", ("avoid", "raw photo", None)),
        (AIDXL, "elf, masterpiece", ("foreign-tag", "masterpiece", "amazing quality")),
        (AIDXL, "elf, great quality", ("foreign-tag", "great quality", "high quality")),
        (AIDXL, "elf, very aesthetic", ("foreign-tag", "very aesthetic", None)),
        (AIDXL, "elf, easynegative", ("avoid", "easynegative", None)),
        (AIDXL, "elf, badhandv4", ("avoid", "badhandv4", None)),
        (V2, "x, 1girl, masterpiece", ("avoid", "masterpiece", "")),
        (V2, "x, 1girl, great quality", ("foreign-tag", "great quality", "")),
        (V2, "x, 1girl, amazing quality", ("foreign-tag", "amazing quality", "")),
        (V2, "x, 1girl, very aesthetic", ("foreign-tag", "very aesthetic", "")),
        (V2, "x, 1girl, safe", ("foreign-tag", "safe", "rating: general")),
        (V3, "1girl, high quality", ("foreign-tag", "high quality", "great quality")),
        (V3, "1girl, oldest", ("foreign-tag", "oldest", "old")),
        (V3, "2girls, smile", ("avoid", "2girls", None)),
        (V3, "1girl, explicit", ("avoid", "explicit", None)),
        ("demo", "1girl, good quality", ("foreign-tag", "good quality", None)),
        ("anything-v3.2", "1girl, score_9", ("foreign-tag", "score_9", None)),
    ],
)
def test_tags_a_card_does_not_use(
    ruler: Ruler, name: str, prompt: str, expected: tuple[str, str, str | None]
) -> None:
    assert codes(lint(ruler, name, prompt, "")) == [expected]


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        (ANIMAGINE, "1girl, realistic, 3d, lowres, illustration, old, safe, absurdres, highres"),
        (V2, "x, 1girl, rating: general, late, Flat_Coating, clear color"),
        (V3, "1girl, great quality, recent, safe"),
        (AIDXL, "1girl, flat color, impasto, high quality"),
        ("sdxl", "score_9, masterpiece, amazing quality, flat_coating, high quality, 1girl"),
        ("sd15", "rating: general, great quality, 1girl"),
    ],
)
def test_tags_that_are_everybody_s_or_the_card_s_own(ruler: Ruler, name: str, prompt: str) -> None:
    assert lint(ruler, name, prompt, "") == []


def test_what_a_card_forbids_in_a_negative_prompt(ruler: Ruler) -> None:
    (found,) = lint(ruler, V2, "x, 1girl", "lowres, (blurry:1.2)")
    assert (found.code, found.where, found.replacement) == ("avoid", "negative prompt", "")
    assert lint(ruler, V2, "x, 1girl, blurry", "lowres") == []
    (found,) = lint(ruler, AIDXL, "elf", "EasyNegative")
    assert found.where == "negative prompt" and "no embedding for SDXL" in found.sentence
    (found,) = lint(ruler, AIDXL, "elf, embedding:badhandv4", "", "diffusers")
    assert found.code == "avoid"


def test_sentences(ruler: Ruler) -> None:
    sentence = "a girl with an umbrella walks home through the rain at night"
    (found,) = lint(ruler, ANIMAGINE, f"1girl, {sentence}", "")
    assert found.code == "avoid" and "natural language" in found.sentence
    title = "the legend of zelda: breath of the wild"
    assert lint(ruler, ANIMAGINE, f"1girl, {title}", "") == []
    assert lint(ruler, AIDXL, sentence, "") == []


def test_a_tag_is_told_once_with_all_its_places(ruler: Ruler) -> None:
    found = lint(ruler, ANIMAGINE, "1girl, high quality BREAK sky, high quality", "")
    assert [each.code for each in found] == ["retired-tag"]
    assert found[0].mend is not None and len(found[0].mend.edits) == 2


def test_every_sentence_names_the_card(ruler: Ruler) -> None:
    found = lint(ruler, V2, "masterpiece, great quality, smile, sky, 1girl", "blurry")
    assert {each.code for each in found} == {"avoid", "foreign-tag", "order"}
    assert all("the card of BAXL v2" in each.sentence for each in found)


def test_without_a_card_only_the_grammar_counts(ruler: Ruler) -> None:
    prompt = "smile, 1girl, high quality, score_9, flat_coating"
    assert Linter(None, ruler).lint(Question(prompt)).findings == ()
