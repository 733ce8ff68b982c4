"""What TensorRT for RTX compiles, kept between processes, on a library that compiles words."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.jit_cache import jit_file
from sakuga.engine.backend.cuda.session import Arena, Tensor
from sakuga.engine.backend.cuda.tensorrt import TensorRt
from sakuga.engine.gpu import Gpu
from sakuga.engine.platform import cache_folder

GPU = Gpu("NVIDIA GeForce RTX 4090", "sm89", 24 << 30, "13.0")
TENSORS = {"sample": Tensor(256, (1, 8, 8), np.dtype(np.float16))}
HEADER = b"driver 13:"


class Cache:
    """Knows the kernels it was given; refuses files without its own header."""

    def __init__(self) -> None:
        self.kernels = set[bytes]()

    def serialize(self) -> bytes:
        return HEADER + b",".join(sorted(self.kernels))

    def deserialize(self, blob: bytes) -> bool:
        if not blob.startswith(HEADER):
            return False
        self.kernels |= set(blob.removeprefix(HEADER).split(b","))
        return True


class Config:
    def __init__(self, takes: bool) -> None:
        self.cache: Cache | None = None
        self._takes = takes

    def set_execution_context_allocation_strategy(self, strategy: object) -> None: ...

    def create_runtime_cache(self) -> Cache:
        return Cache()

    def set_runtime_cache(self, cache: Cache) -> bool:
        if self._takes:
            self.cache = cache
        return self._takes


class Plan:
    num_optimization_profiles = 1

    def __init__(self, library: "Library", kernel: bytes) -> None:
        self._library, self._kernel = library, kernel

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        return [(1, 8, 8)] * 3

    def get_tensor_dtype(self, name: str) -> type:
        return np.float16

    def create_runtime_config(self) -> Config:
        return Config(self._library.takes)

    def create_execution_context(self, config: Config) -> Any:  # noqa: ANN401
        """What the cache does not know is compiled."""
        known = config.cache.kernels if config.cache is not None else set[bytes]()
        if self._kernel not in known:
            self._library.compiled.append(self._kernel)
        known.add(self._kernel)
        self._library.caches.append(config.cache)
        return SimpleNamespace(
            set_optimization_profile_async=lambda profile, stream: True,
            set_input_shape=lambda name, shape: True,
            set_tensor_address=lambda name, address: True,
            update_device_memory_size_for_shapes=lambda: 0,
            set_device_memory=lambda address, size_bytes: None,
        )


class Library:
    class ILogger:
        def __init__(self) -> None:
            pass

    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="managed")
    CudaGraphStrategy = SimpleNamespace(DISABLED="disabled")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="eager")
    nptype = staticmethod(lambda dtype: dtype)

    def __init__(self) -> None:
        self.compiled, self.caches, self.takes = list[bytes](), list[Cache | None](), True

    def Runtime(self, logger: Any) -> Any:  # noqa: ANN401 (TensorRT's name)
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: Plan(self, plan))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    module = "sakuga.engine.backend.cuda.tensorrt.importlib.import_module"
    monkeypatch.setattr(module, lambda name: made)
    return made


def bind(tensorrt: TensorRt, plan: bytes) -> None:
    driver = HostDriver()
    arena = Arena(driver, driver.create_stream())
    tensorrt.session(plan, "unet").bind(TENSORS, arena)


def test_the_next_process_compiles_nothing(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "jit" / "rtx.cache"
    first = TensorRt("rtx", path)
    for plan in (b"unet", b"vae", b"unet"):
        bind(first, plan)
    assert library.compiled == [b"unet", b"vae"]
    assert path.read_bytes() == HEADER + b"unet,vae"  # a process that is killed now has lost none
    assert len(set(map(id, library.caches))) == 1
    library.compiled.clear()
    for plan in (b"unet", b"vae"):
        bind(TensorRt("rtx", path), plan)
    assert library.compiled == []


def test_what_a_run_compiles_is_kept_at_the_end(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "rtx.cache"
    tensorrt = TensorRt("rtx", path)
    tensorrt.close()  # nothing was loaded
    assert not path.exists()
    bind(tensorrt, b"unet")
    cache = library.caches[0]
    assert cache is not None
    cache.kernels.add(b"for these shapes")
    tensorrt.close()
    assert path.read_bytes() == HEADER + b"for these shapes,unet"


def test_a_file_is_written_only_when_there_is_something_new(
    library: Library, tmp_path: Path
) -> None:
    path = tmp_path / "rtx.cache"
    bind(TensorRt("rtx", path), b"unet")
    path.with_suffix(".seen").hardlink_to(path)  # a file that is written anew is another one
    tensorrt = TensorRt("rtx", path)
    bind(tensorrt, b"unet")
    tensorrt.close()
    assert path.samefile(path.with_suffix(".seen"))
    bind(tensorrt, b"vae")
    assert not path.samefile(path.with_suffix(".seen"))
    assert sorted(tmp_path.iterdir()) == [path, path.with_suffix(".seen")]  # no temporary file


@pytest.mark.parametrize("content", [b"", b"damaged", b"driver 12:unet"])
def test_a_file_that_is_refused_is_made_again(
    library: Library, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rtx.cache"
    path.write_bytes(content)
    with caplog.at_level(logging.INFO, "sakuga"):
        bind(TensorRt("rtx", path), b"unet")
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]
    assert library.compiled == [b"unet"]
    assert path.read_bytes() == HEADER + b"unet"


@pytest.mark.parametrize("obstacle", ["a file for a folder", "a folder for a file", "refused"])
def test_what_cannot_be_kept_is_said_once_and_stops_nothing(
    library: Library, tmp_path: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "jit" / "rtx.cache"
    if obstacle == "a file for a folder":
        path.parent.write_bytes(b"")
    elif obstacle == "a folder for a file":
        path.mkdir(parents=True)
    else:
        library.takes = False
    tensorrt = TensorRt("rtx", path)
    for plan in (b"unet", b"vae"):
        bind(tensorrt, plan)
    tensorrt.close()
    assert library.compiled == [b"unet", b"vae"]
    assert len(caplog.records) == 1
    assert "not kept" in caplog.text


def test_a_library_or_a_caller_without_a_cache_has_none(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind(TensorRt("rtx"), b"unet")
    monkeypatch.delattr(Config, "create_runtime_cache")
    bind(TensorRt("rtx", tmp_path / "rtx.cache"), b"unet")
    assert library.caches == [None, None]
    assert not list(tmp_path.iterdir())


def test_libraries_versions_and_gpus_have_files_of_their_own() -> None:
    found = jit_file("rtx", "1.7.1.116", GPU)
    expected = "rtx-1.7.1.116-NVIDIA-GeForce-RTX-4090-sm89.cache"
    assert found == cache_folder() / "jit" / expected
    other = Gpu("NVIDIA L4/24", "sm89", 24 << 30, "13.0")
    assert len({found, jit_file("rtx", "1.7.2", GPU), jit_file("rtx", "1.7.1.116", other)}) == 3


def test_a_user_without_a_cache_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    assert jit_file("rtx", "1.7", GPU) is None
    assert "not kept" in caplog.text
