"""The table of tags: spelled one way, and saying nothing twice."""

from sakuga.profiles.presets import all_presets
from sakuga.profiles.tags import tag_table

TABLE = tag_table()


def test_tags_are_spelled_as_danbooru_shows_them() -> None:
    names = [*TABLE.people, *TABLE.common, *TABLE.qualifiers]
    names += [name for clash in TABLE.clashes for side in clash.sides for name in side]
    assert all(name == name.casefold().strip() and "_" not in name for name in names)


def test_people_are_counted() -> None:
    assert TABLE.people["1girl"] == 1 and TABLE.people["2girls"] == TABLE.people["2boys"] == 2
    assert all(count >= 1 for count in TABLE.people.values())


def test_the_counts_contradict_each_other() -> None:
    pairs = {
        frozenset((one, other))
        for clash in TABLE.clashes
        for side in clash.sides
        for other_side in clash.sides
        if side is not other_side
        for one in side
        for other in other_side
    }
    for pair in (("1girl", "no humans"), ("solo", "2girls"), ("1girl", "2girls"),
                 ("long hair", "short hair"), ("day", "night")):  # fmt: skip
        assert frozenset(pair) in pairs
    assert frozenset(("1girl", "1boy")) not in pairs


def test_what_is_a_card_s_own_is_not_common() -> None:
    own = {"masterpiece", "best quality", "great quality", "amazing quality", "very aesthetic"}
    assert not own & TABLE.common
    assert {"lowres", "highres", "absurdres", "realistic", "nsfw"} <= TABLE.common


def test_other_models_tags_are_nobody_s_here() -> None:
    here = {tag.tag for preset in all_presets().values() for group in preset.tags
            for tag in group.tags}  # fmt: skip
    assert {other.title for other in TABLE.others} == {"Pony Diffusion V6 XL"}
    assert not {tag for other in TABLE.others for tag in other.tags} & here
