"""Small checkpoints and bundles, made once a run and shared by all tests and all workers.

Treat what these fixtures give as read-only; copy it to change it.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.digests import file_sha256
from sakuga.engine.engine import Engine
from sakuga.export.build import BuildOptions, build
from sakuga.export.demo import DEMO_CHECKPOINT
from sakuga.export.synthetic import Layout, write_synthetic
from sakuga.profiles.families import FAMILIES, SD15_TINY, SDXL_TINY, Family

Make = Callable[[Path], object]
Made = Callable[[str, Make], Path]
Worst = Callable[[str, float], float]
MOST_LOADED = 24  # networks in memory


@pytest.fixture(scope="session", autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests and the processes they start remember digests and look for presets of the user's own
    here, never in the user's home."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        use_cache(patch, folder)
        patch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))
        patch.setenv("APPDATA", str(folder / "settings"))
        patch.delenv("SAKUGA_PRESETS", raising=False)
        yield folder


@pytest.fixture(scope="session", autouse=True)
def networks_stay_loaded() -> Iterator[None]:
    """What ONNX Runtime made of a network's files stays, and serves all sessions on the same bytes:
    loading a small network takes longer than what most tests do with it."""
    load = OnnxSession.__init__
    loaded = dict[tuple[str, ...], dict[str, Any]]()

    def load_once(
        self: OnnxSession,
        graph: Path,
        threads: int | None = None,
        optimization: Literal["all", "none"] = "all",
    ) -> None:
        if optimization == "none":  # it reads its weights from their file while it runs
            return load(self, graph, threads, optimization)
        files = [path for path in (graph, graph.with_name("weights.bin")) if path.is_file()]
        key = (*map(file_sha256, files), str(threads))
        if key in loaded:
            vars(self).update(loaded.pop(key), _graph=graph)
        else:
            load(self, graph, threads, optimization)
        loaded[key] = vars(self).copy()  # last, for the first are the first to go
        while len(loaded) > MOST_LOADED:
            del loaded[next(iter(loaded))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnnxSession, "__init__", load_once)
        yield


@pytest.fixture(scope="session")
def worst() -> Iterator[Worst]:
    """`worst(what, value)` gives the value back; with -s the largest of each is told at the end."""
    seen: dict[str, list[float]] = {}

    def keep(what: str, value: float) -> float:
        seen.setdefault(what, []).append(value)
        return value

    yield keep
    for what, values in seen.items():
        print(f"\n{what}: at most {max(values):.2g} of {len(values):,}", end="")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder all workers of this run see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def made(shared_folder: Path) -> Made:
    """`made(name, make)`: what `make` writes at a path, written by whichever worker is first."""

    def get(name: str, make: Make) -> Path:
        path = shared_folder / name
        if not path.exists():
            mine = path.with_name(f"{secrets.token_hex(8)}-{name}")
            make(mine)
            try:
                mine.rename(path)
            except OSError:  # another worker was first; what it made is the same
                assert path.exists()
        return path

    return get


@pytest.fixture(scope="session")
def sdxl_file(made: Made) -> Path:
    """sdxl-tiny as a single file in float32, seed 0."""
    return made("sdxl-tiny.safetensors", _checkpoint(SDXL_TINY, "single"))


@pytest.fixture(scope="session")
def sdxl_folder(made: Made) -> Path:
    """The same weights as a diffusers folder."""
    return made("sdxl-tiny", _checkpoint(SDXL_TINY, "diffusers"))


@pytest.fixture(scope="session")
def sd15_file(made: Made) -> Path:
    """sd15-tiny as a single file in float32, seed 0."""
    return made("sd15-tiny.safetensors", _checkpoint(SD15_TINY, "single"))


@pytest.fixture(scope="session")
def sd15_folder(made: Made) -> Path:
    """The same weights as a diffusers folder."""
    return made("sd15-tiny", _checkpoint(SD15_TINY, "diffusers"))


@pytest.fixture(scope="session")
def sdxl_bundle(made: Made, sdxl_file: Path) -> Bundle:
    """sdxl-tiny built in float32."""
    options = BuildOptions(backend="onnx")
    return open_bundle(made("sdxl-tiny.sakuga", lambda out: build(sdxl_file, out, options)))


@pytest.fixture(scope="session")
def sdxl_fp16_bundle(made: Made, sdxl_file: Path) -> Bundle:
    """sdxl-tiny built in float16."""
    options = BuildOptions(backend="onnx", precision="fp16")
    return open_bundle(made("sdxl-tiny-fp16.sakuga", lambda out: build(sdxl_file, out, options)))


@pytest.fixture(scope="session", params=["sdxl", "sd15"])
def inpaint_folder(request: pytest.FixtureRequest, made: Made) -> Path:
    """A tiny inpainting model as a diffusers folder."""
    family = FAMILIES[f"{request.param}-tiny-inpaint"]
    return made(family.name, _checkpoint(family, "diffusers"))


@pytest.fixture(scope="session")
def inpaint_bundle(made: Made, inpaint_folder: Path) -> Bundle:
    """The same, built in float32."""
    options = BuildOptions(backend="onnx")
    name = f"{inpaint_folder.name}.sakuga"
    return open_bundle(made(name, lambda out: build(inpaint_folder, out, options)))


@pytest.fixture(scope="session")
def rtx_cache(shared_folder: Path) -> Path:
    """A cache folder with the plans of `rtx_bundle` and no others, one for all workers."""
    folder = shared_folder / "rtx-cache"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def rtx_bundle(made: Made, sdxl_file: Path, rtx_cache: Path) -> Bundle:
    """sdxl-tiny with plans of TensorRT for RTX for one GPU; each takes its time."""
    options = BuildOptions(backend="rtx", gpu="sm89")
    with pytest.MonkeyPatch.context() as patch:
        use_cache(patch, rtx_cache)
        path = made("sdxl-tiny-rtx.sakuga", lambda out: build(sdxl_file, out, options))
        return open_bundle(path)


@pytest.fixture
def plans_at_hand(
    rtx_bundle: Bundle, rtx_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The store of a user who has built `rtx_bundle`, in a cache folder of this test's own.

    Its files are links: to change one, put another in its place.
    """
    store = tmp_path / "cache" / "sakuga" / "plans"
    store.mkdir(parents=True)
    for path in (rtx_cache / "sakuga" / "plans").iterdir():
        if path.suffix in (".json", ".plan"):
            os.link(path, store / path.name)
    use_cache(monkeypatch, tmp_path / "cache")
    return store


@pytest.fixture(scope="session")
def sd15_bundle(made: Made, sd15_file: Path) -> Bundle:
    """sd15-tiny built in float32."""
    options = BuildOptions(backend="onnx")
    return open_bundle(made("sd15-tiny.sakuga", lambda out: build(sd15_file, out, options)))


@pytest.fixture(scope="session")
def demo_bundle(made: Made) -> Bundle:
    """The demo model, built for the processor."""
    options = BuildOptions(backend="onnx")
    return open_bundle(made("demo.sakuga", lambda out: build(DEMO_CHECKPOINT, out, options)))


@pytest.fixture(scope="session")
def sdxl_engine(sdxl_bundle: Bundle) -> Iterator[Engine]:
    """sdxl-tiny, open on one thread."""
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        yield engine


def use_cache(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make `folder` the place of the user's caches."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        patch.setenv(name, str(folder))


def _checkpoint(family: Family, layout: Layout) -> Make:
    return lambda out: write_synthetic(family, layout, "fp32", 0, out)
