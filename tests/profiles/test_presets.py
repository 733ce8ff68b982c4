"""The shipped presets against the model cards, written out here a second time."""

import hashlib
from pathlib import Path

import pytest

from sakuga.engine.text.clip_skip import choose_layer
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.demo.captions import BEST_TAGS, WORST_TAGS
from sakuga.profiles.buckets import ANIMAGINE_BUCKETS, QUARTER_BUCKETS, Size
from sakuga.profiles.families import FAMILIES
from sakuga.profiles.preset import Preset
from sakuga.profiles.presets import FOLDER, all_presets, is_shipped, preset_files

PRESETS = all_presets()
NAMES = [
    *("aidxl", "animagine-xl-3.1", "anything-v3.1", "anything-v3.2", "baxl-v2", "baxl-v3"),
    *("demo", "sd15", "sdxl"),
]
every_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def numbers(preset: Preset) -> tuple[object, ...]:
    return (
        *(preset.family, str(preset.size), preset.steps, preset.guidance, preset.sampler),
        *(preset.steps_range, preset.guidance_range, preset.clip_skip),
    )


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("animagine-xl-3.1", ("sdxl", "832x1216", 28, 7, "Euler a", (1, 29), (5, 7), None)),
        ("aidxl", ("sdxl", "832x1216", 28, 7, "Euler a", None, (7, 9), 1)),
        ("baxl-v3", ("sdxl", "832x1216", 25, 6, "Euler a", None, (4, 7), None)),
        ("baxl-v2", ("sdxl", "832x1216", 25, 5, "Euler a", None, None, None)),
        ("anything-v3.1", ("sd15", "512x728", 50, 12, "DPM++ 2M", None, None, None)),
        ("anything-v3.2", ("sd15", "512x728", 50, 12, "DPM++ 2M", None, None, None)),
    ],
)
def test_numbers_of_the_cards(name: str, card: tuple[object, ...]) -> None:
    assert numbers(PRESETS[name]) == card


def test_what_is_shipped() -> None:
    assert list(PRESETS) == list(preset_files()) == NAMES
    assert [preset.name for preset in PRESETS.values()] == NAMES
    assert all(map(is_shipped, PRESETS.values()))


@pytest.mark.parametrize(
    ("name", "prefix", "suffix", "negative"),
    [
        (
            "animagine-xl-3.1",
            "masterpiece, best quality, very aesthetic, absurdres",
            "",
            "nsfw, lowres, (bad), text, error, fewer, extra, missing, worst quality, jpeg "
            "artifacts, low quality, watermark, unfinished, displeasing, oldest, early, chromatic "
            "aberration, signature, extra digits, artistic error, username, scan, [abstract]",
        ),
        (
            "aidxl",
            "",
            "",
            "(worst quality:1.3), low quality, lowres, messy, abstract, ugly, disfigured, bad "
            "anatomy, draft, deformed hands, fused fingers, signature, text, multi views",
        ),
        (
            "baxl-v3",
            "",
            "",
            "lowres, error, worst quality, low quality, jpeg artifacts, watermark, signature, "
            "username",
        ),
        (
            "baxl-v2",
            "",
            "flat_coating, clear_color, highres, absurdres, best_quality",
            "nsfw, lowres, worst quality, low quality, bad perspective, bad anatomy, bad hands, "
            "text, error, missing fingers, extra digit, fewer digits, cropped, jpeg artifacts, "
            "signature, watermark, username, artist name",
        ),
        *(
            (
                name,
                "masterpiece, best quality, illustration, beautiful detailed, finely detailed, "
                "dramatic light, intricate details",
                "",
                "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer "
                "digits, cropped, worst quality, low quality, normal quality, jpeg artifacts, "
                "signature, watermark, username, blurry",
            )
            for name in ("anything-v3.1", "anything-v3.2")
        ),
    ],
)
def test_words_of_the_cards(name: str, prefix: str, suffix: str, negative: str) -> None:
    preset = PRESETS[name]
    assert (preset.prefix, preset.suffix, preset.negative_prompt) == (prefix, suffix, negative)


def test_sizes_of_the_cards() -> None:
    assert PRESETS["animagine-xl-3.1"].sizes == ANIMAGINE_BUCKETS
    # 1600x900 upright, in the multiples of 32 that networks of the family take.
    assert PRESETS["baxl-v2"].sizes == (*ANIMAGINE_BUCKETS, Size(896, 1600))
    sides = PRESETS["baxl-v3"].sides
    assert sides is not None and (sides.minimum, sides.maximum, sides.step) == (768, 1792, 32)


@pytest.mark.parametrize(
    ("name", "licence", "words"),
    [
        ("animagine-xl-3.1", "faipl-1.0-sd", ("shares the changes", "over a network")),
        ("baxl-v3", "LicenseRef-Blue-Archive-fan-art-guideline", ("No commercial use",)),
        ("baxl-v2", "LicenseRef-Blue-Archive-fan-art-guideline", ("No commercial use",)),
        ("anything-v3.1", "creativeml-openrail-m", ("commercial use is allowed", "restrictions")),
        ("aidxl", "", ("states no licence",)),
        ("demo", "Apache-2.0", ("any use",)),
    ],
)
def test_licences_and_what_they_mean(name: str, licence: str, words: tuple[str, ...]) -> None:
    found = PRESETS[name].licence
    assert found.id == licence
    assert all(each in found.meaning for each in words)
    assert "non-commercial" in PRESETS["baxl-v3"].licence.name


def test_clip_skip_of_aidxl_is_the_usual_layer() -> None:
    assert PRESETS["aidxl"].clip_skip == 1
    assert choose_layer("sdxl", "a1111", 1, 12) == choose_layer("sdxl", "a1111", None, 12)


def tags(preset: str, group: str) -> list[str]:
    (found,) = [each for each in PRESETS[preset].tags if each.group == group]
    return [tag.tag for tag in found.tags]


def test_special_tags_of_animagine() -> None:
    assert tags("animagine-xl-3.1", "quality") == [
        *("masterpiece", "best quality", "great quality", "good quality", "normal quality"),
        *("low quality", "worst quality"),
    ]
    assert tags("animagine-xl-3.1", "rating") == ["general", "sensitive", "nsfw", "explicit, nsfw"]
    assert tags("animagine-xl-3.1", "year") == ["newest", "recent", "mid", "early", "oldest"]
    assert tags("animagine-xl-3.1", "aesthetic") == [
        *("very aesthetic", "aesthetic", "displeasing", "very displeasing"),
    ]


def test_spellings_the_cards_of_animagine_disagree_on() -> None:
    known = {tag.tag: tag for group in PRESETS["animagine-xl-3.1"].tags for tag in group.tags}
    assert known["general"].aliases == ("safe",)
    assert known["general"].retired == ("rating: general",)
    assert known["sensitive"].retired == ("rating: sensitive",)
    assert known["great quality"].retired == ("high quality",)


def test_tags_of_the_versions_before() -> None:
    """Animagine XL 3.0's card has these; 3.1's has others in their places."""
    known = {
        tag.tag: tag.retired for group in PRESETS["animagine-xl-3.1"].tags for tag in group.tags
    }
    assert known["good quality"] == ("medium quality",)
    assert known["recent"] == ("late",)
    assert known["nsfw"] == ("rating: questionable",)
    assert known["explicit, nsfw"] == ("rating: explicit",)
    assert tags("baxl-v2", "year") == ["newest", "late", "mid", "early", "oldest"]
    assert tags("baxl-v2", "rating")[0] == "rating: general"


def test_baxl_v3_takes_kohaku_delta_s_tags() -> None:
    assert tags("baxl-v3", "quality")[2] == "great quality"
    assert tags("baxl-v3", "year") == ["newest", "recent", "mid", "early", "old"]
    assert tags("baxl-v3", "rating") == ["safe", "sensitive", "nsfw", "nsfw, explicit"]


def test_what_a_picture_has_one_of() -> None:
    exclusive = {
        name: [group.group for group in preset.tags if group.exclusive]
        for name, preset in PRESETS.items()
    }
    assert {name: groups for name, groups in exclusive.items() if groups} == {
        name: ["rating", "year"] for name in ("animagine-xl-3.1", "baxl-v2", "baxl-v3")
    }


def test_what_belongs_into_negative_prompts() -> None:
    poor = {
        name: [tag.tag for group in preset.tags for tag in group.tags if tag.poor]
        for name, preset in PRESETS.items()
    }
    assert poor["animagine-xl-3.1"] == [
        *("low quality", "worst quality", "displeasing", "very displeasing"),
    ]
    assert poor["aidxl"] == ["low quality", "worst quality", "lowres", "messy"]
    for name, preset in PRESETS.items():
        assert not {*poor[name]} & {*preset.prefix.split(", "), *preset.suffix.split(", ")}


def test_trigger_words_of_aidxl() -> None:
    assert tags("aidxl", "quality")[0] == "amazing quality" and len(tags("aidxl", "quality")) == 6
    assert len(tags("aidxl", "style")) == 11 and "pseudo-impasto" in tags("aidxl", "style")
    assert "beautiful color" in tags("aidxl", "aesthetic")
    slots = [slot.slot for slot in PRESETS["aidxl"].order]
    assert slots[0] == "trigger word" and slots[-2:] == ["aesthetic", "quality"]
    assert {each.what for each in PRESETS["aidxl"].avoid} >= {"EasyNegative", "badhandv4"}


def test_what_baxl_v2_forbids() -> None:
    found = {(each.what, each.where) for each in PRESETS["baxl-v2"].avoid}
    assert found >= {("masterpiece", "prompt"), ("blurry", "negative prompt")}
    assert all(each.delete for each in PRESETS["baxl-v2"].avoid)


def test_the_demo_preset_is_the_demo_model_s() -> None:
    preset = PRESETS["demo"]
    assert preset.hashes == (hashlib.sha256(DEMO_CHECKPOINT.read_bytes()).hexdigest()[:10],)
    assert preset.sizes == QUARTER_BUCKETS
    assert preset.prefix == ", ".join(BEST_TAGS)
    assert set(WORST_TAGS) <= set(tags("demo", "quality"))
    assert preset.negative_prompt == PRESETS["animagine-xl-3.1"].negative_prompt


def test_hashes_of_the_cards_belong_to_one_preset() -> None:
    known = {text: name for name, preset in PRESETS.items() for text in preset.hashes}
    assert known["e3c47aedb0"] == "animagine-xl-3.1" and known["95affd8c8f"] == "baxl-v3"
    assert sum(len(preset.hashes) for preset in PRESETS.values()) == len(known)


@every_preset
def test_a_preset_keeps_to_what_it_recommends(preset: Preset) -> None:
    assert preset.doubts(preset.size, preset.steps, preset.guidance) == ()
    for size in preset.sizes:
        assert FAMILIES[preset.family].sizes.allows(size)
        assert preset.doubts(size, preset.steps, preset.guidance) == ()


def test_a_user_s_preset_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    shipped = (FOLDER / "sdxl.toml").read_text(encoding="utf-8")
    for name in ("sdxl", "mine"):
        (tmp_path / f"{name}.toml").write_text(shipped.replace("steps = 28", "steps = 9"))
    found = all_presets(tmp_path)
    assert list(found) == sorted([*NAMES, "mine"])
    assert found["sdxl"].steps == found["mine"].steps == 9
    assert not is_shipped(found["sdxl"]) and is_shipped(found["sd15"])
    assert all_presets()["sdxl"].steps == 28
