"""The store of finished plans: one builds, others take; what is damaged or half-built goes."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sakuga.engine import digests
from sakuga.engine.digests import DigestMemory
from sakuga.engine.platform import cache_folder, exclusive
from sakuga.export.plans import store as store_module
from sakuga.export.plans.builder import PlanFacts
from sakuga.export.plans.key import PlanKey
from sakuga.export.plans.store import PlanStore, Stored, put
from sakuga.export.plans.worker import Record
from sakuga.export.scan import Scan

PLAN = b"a plan of some length"
KEY = PlanKey("rtx", "1.7", 1, "unet", "a", "b", ("sm89",), None, False, ({"x": ((1, 2), (2, 2))},))
OTHER = replace(KEY, network="vae_decoder")
NAME = KEY.digest[:32]
DAYS = 24 * 3600.0


def record(plan: bytes) -> Record:
    digest = hashlib.sha256(plan).hexdigest()
    return Record(
        PlanFacts(1.5, len(plan), digest, 7_000, 140), Scan(3, 12.5, "conv"), 0.001, False
    )


class Builder:
    """Writes a plan and a log, and counts how often it is asked to; or fails half-way."""

    def __init__(self, plan: bytes = PLAN, failure: BaseException | None = None) -> None:
        self.plan, self.failure, self.built = plan, failure, 0

    def __call__(self, out: Path, log: Path) -> Record:
        self.built += 1
        with log.open("a") as file:
            file.write(f"build {self.built}\n")
        with out.open("xb") as file:
            file.write(self.plan[:5])
            if self.failure is not None:
                raise self.failure
            file.write(self.plan[5:])
        return record(self.plan)


@pytest.fixture
def store(tmp_path: Path) -> PlanStore:
    return PlanStore(tmp_path / "plans")


@pytest.fixture
def build() -> Builder:
    return Builder()


def nobody_builds() -> None:
    raise AssertionError("no other process builds this")


def take(store: PlanStore, key: PlanKey, build: Builder) -> Stored:
    return store.take(key, build, nobody_builds)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def age(path: Path, days: float) -> None:
    """Make a file as old as that."""
    then = time.time() - days * DAYS
    os.utime(path, (then, then))


def test_a_plan_is_built_once_and_then_taken(store: PlanStore, build: Builder) -> None:
    assert not store.has(KEY)
    first = take(store, KEY, build)
    assert store.has(KEY) and not store.has(OTHER)
    second = take(store, KEY, build)
    assert build.built == 1
    assert (first.reused, second.reused) == (False, True)
    assert second == replace(first, reused=True)
    assert second.path.read_bytes() == PLAN
    assert second.record == record(PLAN)
    assert names(store.folder) == [f"{NAME}.json", f"{NAME}.log", f"{NAME}.plan"]


def test_another_process_finds_what_this_one_built(store: PlanStore, build: Builder) -> None:
    take(store, KEY, build)
    assert take(PlanStore(store.folder), KEY, build).reused


def test_every_key_has_a_plan_of_its_own(store: PlanStore) -> None:
    take(store, KEY, Builder(b"plan one"))
    take(store, OTHER, Builder(b"plan two"))
    assert take(store, KEY, Builder(b"never")).path.read_bytes() == b"plan one"
    assert take(store, OTHER, Builder(b"never")).path.read_bytes() == b"plan two"


def test_the_key_of_a_plan_can_be_read_beside_it(store: PlanStore, build: Builder) -> None:
    take(store, KEY, build)
    kept = json.loads((store.folder / f"{NAME}.json").read_text())
    assert (kept["key"]["network"], kept["key"]["targets"]) == ("unet", ["sm89"])
    assert kept["facts"]["fused_attentions"] == 140


def test_a_plan_that_differs_in_weights_alone_can_give_them_up(store: PlanStore) -> None:
    ours = replace(KEY, refittable=True)
    assert store.donor(ours) is None
    take(store, replace(ours, network="vae_decoder"), Builder(b"another network"))
    take(store, replace(KEY, weights_sha256="c"), Builder(b"takes no weights"))
    assert store.donor(ours) is None
    take(store, replace(ours, weights_sha256="c"), Builder(b"other weights"))
    found = store.donor(ours)
    assert found is not None and found.path.read_bytes() == b"other weights"
    assert store.donor(KEY) is None
    flip(found.path)
    assert store.donor(ours) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_the_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = os.umask(0)
    try:
        (tmp_path / "cache").mkdir(mode=0o755)
        store = PlanStore()
    finally:
        os.umask(before)
    assert store.folder == cache_folder() / "plans"
    assert store.folder.stat().st_mode & 0o777 == 0o700


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lie(path: Path) -> None:
    """Facts of another schema."""
    path.write_text(json.dumps({"facts": {"seconds": 1}, "scan": {}}))


@pytest.mark.parametrize(
    "suffix, damage",
    [
        (".plan", flip),
        (".plan", shorten),
        (".plan", empty),
        (".plan", remove),
        (".json", shorten),
        (".json", empty),
        (".json", remove),
        (".json", lie),
    ],
)
def test_a_damaged_plan_is_built_again(
    store: PlanStore, build: Builder, suffix: str, damage: Callable[[Path], None]
) -> None:
    take(store, KEY, build)
    damage(store.folder / f"{NAME}{suffix}")
    again = take(store, KEY, build)
    assert build.built == 2 and not again.reused
    assert again.path.read_bytes() == PLAN
    assert take(store, KEY, build).reused
    assert names(store.folder) == [f"{NAME}.json", f"{NAME}.log", f"{NAME}.plan"]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("no"), KeyboardInterrupt()]
)
def test_a_failed_build_leaves_nothing_but_its_log(
    store: PlanStore, build: Builder, failure: BaseException
) -> None:
    with pytest.raises(type(failure)):
        take(store, KEY, Builder(failure=failure))
    assert names(store.folder) == [f"{NAME}.log"]
    assert not take(store, KEY, build).reused


def test_a_build_that_fails_does_not_bring_a_damaged_plan_back(store: PlanStore) -> None:
    take(store, KEY, Builder())
    flip(store.folder / f"{NAME}.plan")
    with pytest.raises(RuntimeError):
        take(store, KEY, Builder(failure=RuntimeError("no")))
    assert not store.has(KEY)


def test_what_a_killed_builder_left_is_cleared_by_the_next(
    store: PlanStore, build: Builder
) -> None:
    for suffix in (".half", ".lock"):
        (store.folder / f"{NAME}{suffix}").write_bytes(b"left over")
    assert take(store, KEY, build).path.read_bytes() == PLAN
    assert names(store.folder) == [f"{NAME}.json", f"{NAME}.log", f"{NAME}.plan"]


def test_plans_nobody_asks_for_are_forgotten(store: PlanStore, build: Builder) -> None:
    take(store, KEY, build)
    take(store, OTHER, build)
    for path in store.folder.iterdir():
        age(path, 15)
    take(store, OTHER, build)  # asked for again
    store.forget_unused()
    assert not store.has(KEY)
    assert take(store, OTHER, build).reused
    assert [name for name in names(store.folder) if name.startswith(NAME)] == []


def test_plans_of_yesterday_are_kept(store: PlanStore, build: Builder) -> None:
    take(store, KEY, build)
    for path in store.folder.iterdir():
        age(path, 13)
    store.forget_unused()
    assert take(store, KEY, build).reused


def test_leftovers_of_killed_builders_go_and_logs_of_failures_stay(store: PlanStore) -> None:
    with pytest.raises(RuntimeError):
        take(store, OTHER, Builder(failure=RuntimeError("no")))
    log = f"{OTHER.digest[:32]}.log"
    for name in (f"{NAME}.half", f"{NAME}.lock", f"{NAME}.plan", f".{NAME}.json.0123.tmp"):
        (store.folder / name).write_bytes(b"left over")
    store.forget_unused()
    assert names(store.folder) == [log]
    age(store.folder / log, 15)
    store.forget_unused()
    assert names(store.folder) == []


def test_what_is_being_built_is_not_touched(store: PlanStore) -> None:
    half = store.folder / f"{NAME}.half"
    half.write_bytes(b"half")
    age(half, 15)
    with exclusive(store.folder / f"{NAME}.lock"):
        store.forget_unused()
        assert half.exists()
    store.forget_unused()
    assert names(store.folder) == []


def test_a_bundle_shares_the_bytes_of_a_plan(
    store: PlanStore, build: Builder, tmp_path: Path
) -> None:
    stored = take(store, KEY, build)
    target = tmp_path / "bundle" / "plans" / "unet.plan"
    put(stored, target)
    assert target.read_bytes() == PLAN
    assert target.samefile(stored.path)


def test_where_no_link_can_be_made_a_plan_is_copied(
    store: PlanStore, build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    stored = take(store, KEY, build)
    monkeypatch.setattr(store_module.os, "link", refuse)
    put(stored, tmp_path / "unet.plan")
    assert (tmp_path / "unet.plan").read_bytes() == PLAN
    assert not (tmp_path / "unet.plan").samefile(stored.path)


def test_a_plan_just_built_is_not_read_again(
    store: PlanStore, build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(digests, "file_sha256", refuse)
    stored = take(store, KEY, build)
    put(stored, tmp_path / "unet.plan")
    paths = {"here": stored.path, "there": tmp_path / "unet.plan"}
    assert set(DigestMemory().sha256s(paths).values()) == {stored.record.facts.sha256}
    assert take(store, KEY, build).reused
