"""Opens the GPU for a bundle: with its plans, or with ONNX Runtime's CUDA provider."""

from pathlib import Path

from sakuga.engine.backend.cuda.core_driver import CoreDriver
from sakuga.engine.backend.cuda.device import CudaDevice, CudaOptions
from sakuga.engine.backend.cuda.driver import Stream
from sakuga.engine.backend.cuda.jit_cache import jit_file
from sakuga.engine.backend.cuda.onnx_cuda import OnnxCudaSession
from sakuga.engine.backend.cuda.plan_files import PlanFiles
from sakuga.engine.backend.cuda.residency import Need, Residency, plan_residency
from sakuga.engine.backend.cuda.session import DeviceSession
from sakuga.engine.backend.cuda.tensorrt import TensorRt
from sakuga.engine.backend.network import Networks
from sakuga.engine.backend.onnxruntime import onnxruntime_library
from sakuga.engine.bundle import Bundle, check_same
from sakuga.engine.gpu import Gpu
from sakuga.engine.manifest import PlanSetEntry
from sakuga.profiles.buckets import Size, SizeList, SizeRule, Sizes
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE

_ONNX_ROWS = 8  # of a call where nothing says how many fit; memory that runs out halves them
_UNUSED = "vae_encoder"  # until pictures are read


class PlanLoader:
    """The plans of a set, read ahead and loaded when first used; `jit` is TensorRT's cache."""

    def __init__(
        self,
        bundle: Bundle,
        plans: PlanSetEntry,
        visitors: frozenset[str],
        jit: Path | None = None,
    ) -> None:
        self._bundle = bundle
        self.name = f"{plans.backend} {plans.version}"
        self._tensorrt = TensorRt(plans.backend, jit)
        paths: dict[str, Path] = {
            name: bundle.path / plan.file for name, plan in plans.plans.items() if name != _UNUSED
        }
        self._files = PlanFiles(paths, ahead=frozenset(paths) - visitors)

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """A plan serves any stream."""
        session = self._tensorrt.session(self._files.take(name), name)
        check_same(self._bundle)
        return session

    def close(self) -> None:
        """Read no more, and keep what TensorRT compiled."""
        self._files.close()
        self._tensorrt.close()


class OnnxLoader:
    """The bundle's graphs on ONNX Runtime's CUDA provider."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self.name = f"onnxruntime-gpu {onnxruntime_library().__version__}"

    def __call__(self, name: str, stream: Stream) -> DeviceSession:
        """A session belongs to its stream."""
        session = OnnxCudaSession(self._bundle.graph(name), stream)
        check_same(self._bundle)
        return session

    def close(self) -> None:
        """Nothing is under way."""


def open_plans(bundle: Bundle, plans: PlanSetEntry, gpu: Gpu, vram_bytes: int | None) -> CudaDevice:
    """A device with plans, within `vram_bytes` of GPU memory or what is free of it now."""
    driver = CoreDriver(gpu)
    free = driver.free_bytes()
    residency = residency_of(plans, min(vram_bytes or free, free))
    options = CudaOptions(
        residency.rows,
        sizes_of(bundle, plans),
        residency=str(residency),
        visitors=residency.visitors,
        turns=residency.turns,
    )
    jit = jit_file(plans.backend, plans.version, gpu)
    load = PlanLoader(bundle, plans, residency.visitors, jit)
    return CudaDevice(driver, Networks.of(bundle), load, options)


def open_onnx(bundle: Bundle, gpu: Gpu) -> CudaDevice:
    """A device without plans."""
    networks = Networks.of(bundle)
    rows = min(_ONNX_ROWS, networks.max_rows)
    return CudaDevice(CoreDriver(gpu), networks, OnnxLoader(bundle), CudaOptions(rows))


def sizes_of(bundle: Bundle, plans: PlanSetEntry) -> Sizes:
    """The sizes that the plans' profiles cover."""
    sizes = tuple(Size.parse(text) for text in plans.sizes)
    if plans.shapes != "range":
        return SizeList(sizes)
    sides = [side for size in sizes for side in (size.width, size.height)]
    return SizeRule(min(sides), max(sides), bundle.family.sizes.step)


def residency_of(plans: PlanSetEntry, budget_bytes: int) -> Residency:
    """What of these plans lies in that much memory, for the largest picture they render.

    Raises DeviceMemoryError where nothing fits.
    """
    sizes = [Size.parse(text) for text in plans.sizes]
    corner = Size(max(s.width for s in sizes), max(s.height for s in sizes))
    rows = ROWS_PER_PICTURE * plans.max_batch
    largest = max(sizes, key=lambda size: size.width * size.height)
    covered = corner if plans.shapes == "range" else largest
    needs = {
        name: Need(
            plan.weights_bytes, plan.activation_bytes,
            rows if name == "unet" else 1,
            1 if name.startswith("text") else covered.width * covered.height,
        )
        for name, plan in plans.plans.items()
        if name != _UNUSED
    }  # fmt: skip
    return plan_residency(needs, budget_bytes, largest, rows)
