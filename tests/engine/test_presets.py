"""Presets of a user's own: where they lie, which wins, and what is said of broken ones."""

import sys
from pathlib import Path

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.platform import config_folder
from sakuga.engine.preset_text import describe_preset, preset_table
from sakuga.engine.presets import (
    choose_preset,
    find_preset,
    known_presets,
    preset_known,
    recognise,
    user_folder,
)
from sakuga.profiles.preset import Preset
from sakuga.profiles.presets import FOLDER, all_presets

SDXL = (FOLDER / "sdxl.toml").read_text(encoding="utf-8")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for presets of the user's own."""
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path))
    return tmp_path


def put(folder: Path, name: str, *, steps: int = 9, hashes: str = "") -> None:
    text = SDXL.replace("steps = 28", f"steps = {steps}")
    if hashes:
        text = f'hashes = ["{hashes}"]\n{text}'
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def test_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME", str(tmp_path))
    assert config_folder() == tmp_path / "sakuga"
    assert user_folder() is None
    (tmp_path / "sakuga" / "presets").mkdir(parents=True)
    assert user_folder() == tmp_path / "sakuga" / "presets"
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path))
    assert user_folder() == tmp_path
    monkeypatch.setenv("SAKUGA_PRESETS", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="names no folder") as caught:
        known_presets()
    assert caught.value.note and caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="where Linux keeps settings")
def test_settings_lie_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config_folder() == tmp_path / ".config" / "sakuga"


def test_a_user_without_a_home_has_the_shipped_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("APPDATA", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert config_folder() is None and known_presets() == all_presets()


def test_own_ones_come_first(own: Path) -> None:
    put(own, "mine", steps=5)
    put(own, "sdxl", steps=6)
    assert find_preset("mine").steps == 5 and find_preset("sdxl").steps == 6
    assert known_presets().keys() == all_presets().keys() | {"mine"}
    assert preset_known("mine") and not preset_known("yours")
    assert find_preset("sd15") == all_presets()["sd15"]


def test_a_hash_finds_a_preset(own: Path) -> None:
    assert recognise("e3c47aedb0") == recognise("E3C47AEDB0") == "animagine-xl-3.1"
    assert recognise("0000000000") is None
    put(own, "mine", hashes="e3c47aedb0")
    assert recognise("e3c47aedb0") == "mine"
    put(own, "other", hashes="e3c47aedb0")
    with pytest.raises(UsageError, match="2 of your presets") as caught:
        recognise("e3c47aedb0")
    assert "mine, other" in caught.value.note and "--preset" in caught.value.hint


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no preset called 'Animagine-XL'") as caught:
        find_preset("Animagine-XL")
    assert caught.value.hint == "Did you mean 'animagine-xl-3.1'?"
    assert "There are aidxl, animagine-xl-3.1, " in caught.value.note
    for name in ("zzzz", "", "../presets/sdxl", str(FOLDER / "sdxl")):
        with pytest.raises(UsageError, match="no preset called"):
            find_preset(name)


def test_a_broken_file_is_told_where_it_is_used(own: Path) -> None:
    put(own, "mine")
    (own / "broken.toml").write_text(SDXL.replace("steps = 28", "steps = 0"), encoding="utf-8")
    for use in (known_presets, lambda: find_preset("broken"), lambda: recognise("0000000000")):
        with pytest.raises(UsageError, match=r"broken\.toml, key 'steps', must be") as caught:
            use()
        assert caught.value.note and caught.value.hint
    assert find_preset("mine").steps == 9  # nobody asked for the other
    (own / "sdxl.toml").write_text("=")
    with pytest.raises(UsageError, match=r"sdxl\.toml is not a TOML file"):
        find_preset("sdxl")  # the shipped one does not stand in for it


def test_a_preset_is_for_its_family() -> None:
    assert choose_preset("sdxl", "sdxl") == all_presets()["sdxl"]
    assert choose_preset("none", "sdxl") is None
    with pytest.raises(UsageError, match="'sd15' does not fit this model") as caught:
        choose_preset("sd15", "sdxl")
    assert "family sd15 (Stable Diffusion 1.5); this one is of the family sdxl" in caught.value.note
    assert "--preset none" in caught.value.hint


@pytest.mark.parametrize("preset", all_presets().values(), ids=all_presets())
def test_everything_about_a_preset_is_shown(preset: Preset) -> None:
    shown = " ".join(describe_preset(preset).split())
    words = [preset.title, preset.licence.meaning, preset.negative_prompt, preset.example]
    tags = [tag for group in preset.tags for tag in group.tags]
    words += [text for tag in tags for text in (tag.tag, tag.meaning, *tag.aliases, *tag.retired)]
    words += [text for tag in tags for text in tag.instead_of]
    words += [text for each in preset.avoid for text in (each.reason, *each.tags)]
    words += [each.example for each in preset.order]
    words += [*preset.advice, *map(str, preset.sizes), *preset.hashes]
    assert [each for each in words if each not in shown] == []
    lines = [line for line in describe_preset(preset).splitlines() if "https://" not in line]
    assert max(map(len, lines)) <= 100


def test_own_ones_are_marked_in_the_table(own: Path) -> None:
    put(own, "mine")
    rows = {row.split()[0]: row for row in preset_table(known_presets().values()).splitlines()}
    assert rows["mine"].endswith("yours") and not rows["sdxl"].endswith("yours")
    assert "832x1216   28     7         Euler a" in rows["animagine-xl-3.1"]
    assert "non-commercial" in rows["baxl-v3"] and rows["name"].endswith("licence")
