"""One plan, built here by the real library; and the ways in which a build can fail."""

import gc
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.errors import PlanBuildError
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.builder import Desk, PlanFacts, Recipe, build_plan
from sakuga.export.plans.callbacks import Guard
from sakuga.export.plans.flavour import Flavour
from sakuga.export.plans.log import BuildLog
from sakuga.export.plans.stages import Stages
from sakuga.profiles.networks import ShapeRange

Unreadable = Callable[[str], Recipe]


class Listener(Stages):
    """Stages that note every share, and fail where they are told to."""

    def __init__(self, fail_at: float = 2.0) -> None:
        super().__init__()
        self.told: list[float] = []
        self.collecting = False  # a collection inside a callback may wait for itself
        self._fail_at = fail_at

    def step(self, name: str, done: int) -> None:
        super().step(name, done)
        self.told.append(self.share)
        self.collecting |= gc.isenabled()
        if self.share >= self._fail_at:
            raise RuntimeError("enough")


def built(
    flavour: Flavour, recipe: Recipe, folder: Path, stages: Stages | None = None
) -> PlanFacts:
    """Build into `folder`."""
    with BuildLog(folder / "log") as log:
        desk = Desk(folder / "plan", log, stages or Stages(), None)
        return build_plan(flavour, recipe, desk)


@pytest.fixture(scope="module")
def encoder(
    flavour: Flavour, text_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, PlanFacts, Listener]:
    """A folder with a plan, what is known of it, and how it came about."""
    folder, listener = tmp_path_factory.mktemp("plan"), Listener()
    return folder, built(flavour, text_recipe, folder, listener), listener


def test_the_facts_are_those_of_the_file(encoder: tuple[Path, PlanFacts, Listener]) -> None:
    folder, facts, _ = encoder
    plan = (folder / "plan").read_bytes()
    assert facts.size_bytes == len(plan) > 100_000
    assert facts.sha256 == hashlib.sha256(plan).hexdigest()
    assert facts.seconds > 0
    assert 1_000_000 < facts.activation_bytes < 100_000_000


def test_every_attention_of_the_encoder_is_fused(encoder: tuple[Path, PlanFacts, Listener]) -> None:
    assert encoder[1].fused_attentions == 3


def test_progress_never_falls_and_ends_at_one(encoder: tuple[Path, PlanFacts, Listener]) -> None:
    listener = encoder[2]
    assert len(listener.told) > 10
    assert listener.told == sorted(listener.told)
    assert listener.share == 1.0
    assert not listener.collecting


def test_the_librarys_log_goes_to_the_file_and_not_to_the_terminal(
    flavour: Flavour, text_recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built(flavour, text_recipe, tmp_path)
    log = (tmp_path / "log").read_text()
    assert "INFO Total Activation Memory" in log
    assert "VERBOSE" not in log
    assert capfd.readouterr() == ("", "")


def test_plans_can_be_captured(flavour: Flavour, text_recipe: Recipe, tmp_path: Path) -> None:
    flag, seen = flavour.library.BuilderFlag.REQUIRE_USER_ALLOCATION, list[bool]()

    class Watched(Flavour):
        def serialize(
            self,
            builder: Any,  # noqa: ANN401
            network: Any,  # noqa: ANN401
            config: Any,  # noqa: ANN401
            writer: HashingWriter,
            guard: Guard,
        ) -> bool:
            seen.append(config.get_flag(flag))
            return super().serialize(builder, network, config, writer, guard)

    built(Watched(flavour.backend, flavour.library, flavour.version), text_recipe, tmp_path)
    assert seen == [True]


def test_a_plan_for_two_gpus_is_another_plan(
    flavour: Flavour, text_recipe: Recipe, encoder: tuple[Path, PlanFacts, Listener], tmp_path: Path
) -> None:
    both = built(flavour, replace(text_recipe, targets=("sm89", "sm120")), tmp_path)
    assert both.sha256 != encoder[1].sha256
    assert both.size_bytes != encoder[1].size_bytes


def test_a_graph_the_parser_refuses_names_node_and_operation(
    flavour: Flavour, unreadable: Unreadable, tmp_path: Path
) -> None:
    with pytest.raises(PlanBuildError, match="cannot read the graph of the network unet") as caught:
        built(flavour, unreadable("unet"), tmp_path)
    assert "culprit (Det)" in caught.value.note
    assert "innocent" not in caught.value.note
    assert str(tmp_path / "log") in caught.value.hint


def test_a_profile_the_graph_contradicts_is_refused_with_the_reason(
    flavour: Flavour, text_recipe: Recipe, tmp_path: Path
) -> None:
    (profile,) = text_recipe.profiles
    narrow = ShapeRange((1, 76, 32), (2, 76, 32), (8, 76, 32))  # a chunk has 77 tokens
    recipe = replace(text_recipe, profiles=({**profile, "inputs_embeds": narrow},))
    with pytest.raises(PlanBuildError, match="the network text_encoder") as caught:
        built(flavour, recipe, tmp_path)
    assert "inputs_embeds" in caught.value.note
    assert "driver" not in caught.value.note, "what a build without a GPU always says"


def test_what_a_callback_raises_stops_the_build_and_comes_back(
    flavour: Flavour, text_recipe: Recipe, tmp_path: Path
) -> None:
    listener = Listener(fail_at=0.2)
    with pytest.raises(RuntimeError, match="enough"):
        built(flavour, text_recipe, tmp_path, listener)
    assert listener.share < 0.5


def test_an_older_file_in_the_plans_place_is_not_overwritten(
    flavour: Flavour, text_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "plan").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        built(flavour, text_recipe, tmp_path)
    assert (tmp_path / "plan").read_bytes() == b"mine"
