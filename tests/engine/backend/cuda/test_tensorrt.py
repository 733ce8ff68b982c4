"""Plans bound to tensors, on a library that records what it is asked. No plan runs without a GPU;
`tests/export/plans/test_on_gpu.py` runs some where there is one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sakuga.engine.backend.cuda.host_driver import HostDriver
from sakuga.engine.backend.cuda.session import Arena, Tensor
from sakuga.engine.backend.cuda.tensorrt import TensorRt, TensorRtSession
from sakuga.engine.errors import (
    BundleDamagedError,
    DeviceMemoryError,
    EngineFault,
    MissingDependencyError,
    PlanMismatchError,
)

HALF = np.dtype(np.float16)
# Rows and sides of three profiles: two sizes, and a range over both.
PROFILES = [((1, 16, 20), (8, 16, 20)), ((1, 20, 16), (8, 20, 16)), ((1, 16, 16), (8, 20, 20))]


class Context:
    def __init__(self, needs: int) -> None:
        self.needs, self.asked = needs, list[tuple[Any, ...]]()
        self.runs = True

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.asked.append(("profile", profile))
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.asked.append((name, shape))
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.asked.append((name, address))
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        return self.needs

    def set_device_memory(self, address: int, size_bytes: int) -> None:
        self.asked.append(("memory", address, size_bytes))

    def execute_async_v3(self, stream: int) -> bool:
        self.asked.append(("run", stream))
        return self.runs


class Plan:
    num_optimization_profiles = len(PROFILES)

    def __init__(self, needs: int = 4096) -> None:
        self.contexts, self._needs = list[Context](), needs

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        low, high = PROFILES[profile]
        return [low, low, high]

    def get_tensor_dtype(self, name: str) -> type:
        return np.float16

    def create_execution_context(self, strategy: object) -> Context:
        assert strategy == "managed"
        self.contexts.append(Context(self._needs))
        return self.contexts[-1]


class Library:
    class ILogger:
        def __init__(self) -> None:
            pass

    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="managed")
    nptype = staticmethod(lambda dtype: dtype)

    def __init__(self) -> None:
        self.logger: Any = None

    def Runtime(self, logger: Any) -> Any:  # noqa: ANN401 (TensorRT's name)
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: Plan() if plan else None)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> TensorRt:
    library = Library()
    module = "sakuga.engine.backend.cuda.tensorrt.importlib.import_module"
    monkeypatch.setattr(module, lambda name: library)
    return TensorRt("tensorrt")


@pytest.fixture
def arena() -> Arena:
    driver = HostDriver()
    return Arena(driver, driver.create_stream())


def tensors(rows: int, height: int, width: int) -> dict[str, Tensor]:
    return {
        "sample": Tensor(256, (rows, height, width), HALF),
        "noise_pred": Tensor(512, (rows, height, width), HALF, output=True),
    }


def test_a_binding_sets_everything_once_and_then_only_runs(
    tensorrt: TensorRt, arena: Arena
) -> None:
    plan = Plan()
    binding = TensorRtSession(tensorrt, plan, "unet").bind(tensors(3, 20, 16), arena)
    (context,) = plan.contexts
    memory = arena.reserve(0) or context.asked[-1][1]
    assert context.asked == [
        ("profile", 1), ("sample", (3, 20, 16)), ("sample", 256), ("noise_pred", 512),
        ("memory", memory, 4096),
    ]  # fmt: skip
    context.asked.clear()
    for _ in range(2):
        binding.launch(arena.stream)
    assert context.asked == [("run", arena.stream.handle)] * 2
    binding.close()


@pytest.mark.parametrize(
    ("shape", "profile"), [((8, 16, 20), 0), ((1, 20, 16), 1), ((2, 20, 20), 2), ((2, 16, 16), 2)]
)
def test_the_smallest_profile_is_taken(
    tensorrt: TensorRt, arena: Arena, shape: tuple[int, int, int], profile: int
) -> None:
    plan = Plan()
    TensorRtSession(tensorrt, plan, "unet").bind(tensors(*shape), arena)
    assert plan.contexts[0].asked[0] == ("profile", profile)


def test_bindings_share_the_arena_which_grows_to_the_largest(
    tensorrt: TensorRt, arena: Arena
) -> None:
    for needs, size, generation in ((4096, 4096, 0), (1024, 4096, 0), (9000, 9000, 1)):
        TensorRtSession(tensorrt, Plan(needs), "unet").bind(tensors(1, 16, 20), arena)
        assert (arena.size_bytes, arena.generation) == (size, generation)


def test_shapes_no_profile_covers_are_said(tensorrt: TensorRt, arena: Arena) -> None:
    session = TensorRtSession(tensorrt, Plan(), "unet")
    with pytest.raises(PlanMismatchError, match="No profile of the plan unet") as caught:
        session.bind(tensors(9, 16, 20), arena)
    assert "sample [9, 16, 20]" in caught.value.note


def test_a_plan_of_other_types_is_not_this_bundle_s(tensorrt: TensorRt, arena: Arena) -> None:
    session = TensorRtSession(tensorrt, Plan(), "unet")
    with pytest.raises(PlanMismatchError, match="not this bundle"):
        session.bind({"sample": Tensor(256, (1, 16, 20), np.dtype(np.float32))}, arena)


def test_what_tensorrt_says_is_in_the_error(tensorrt: TensorRt, arena: Arena) -> None:
    plan = Plan()
    binding = TensorRtSession(tensorrt, plan, "unet").bind(tensors(1, 16, 20), arena)
    plan.contexts[0].runs = False
    tensorrt.library.logger.log(SimpleNamespace(name="INFO"), "chatter")
    tensorrt.library.logger.log(SimpleNamespace(name="ERROR"), "illegal memory access")
    with pytest.raises(EngineFault, match="illegal memory access") as caught:
        binding.launch(arena.stream)
    assert "chatter" not in str(caught.value)


def test_memory_that_runs_out_inside_tensorrt_is_said_as_such(
    tensorrt: TensorRt, arena: Arena
) -> None:
    plan = Plan()
    binding = TensorRtSession(tensorrt, plan, "unet").bind(tensors(1, 16, 20), arena)
    plan.contexts[0].runs = False
    log = tensorrt.library.logger.log
    log(SimpleNamespace(name="ERROR"), "Requested amount of GPU memory: OutOfMemory (no message)")
    with pytest.raises(DeviceMemoryError, match="OutOfMemory"):
        binding.launch(arena.stream)
    with pytest.raises(EngineFault):  # the next failure is another one
        binding.launch(arena.stream)


def test_a_binding_follows_an_arena_that_has_moved(tensorrt: TensorRt, arena: Arena) -> None:
    plan = Plan()
    binding = TensorRtSession(tensorrt, plan, "unet").bind(tensors(1, 16, 20), arena)
    arena.reserve(1 << 20)
    binding.rebase(arena)
    assert plan.contexts[0].asked[-1] == ("memory", arena.reserve(1), 1 << 20)
    plan = Plan(needs=0)
    TensorRtSession(tensorrt, plan, "unet").bind(tensors(1, 16, 20), arena)
    assert plan.contexts[0].asked[-1] == ("memory", 0, 0)


@pytest.mark.parametrize("answer", [True, False])
def test_the_context_says_whether_it_can_be_captured(
    tensorrt: TensorRt, arena: Arena, answer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = TensorRtSession(tensorrt, Plan(), "unet")
    assert session.bind(tensors(1, 16, 20), arena).capturable
    asked = lambda context, stream: answer  # noqa: E731
    monkeypatch.setattr(Context, "is_stream_capturable", asked, raising=False)
    assert session.bind(tensors(1, 16, 20), arena).capturable is answer


def test_a_plan_that_does_not_load_is_damage(tensorrt: TensorRt) -> None:
    assert isinstance(tensorrt.session(b"plan", "unet"), TensorRtSession)
    with pytest.raises(BundleDamagedError, match="plan of the network unet"):
        tensorrt.session(b"", "unet")


def test_a_library_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(MissingDependencyError, match="tensorrt") as caught:
        TensorRt("tensorrt")
    assert "pip install" in caught.value.hint
