"""Opens the GPU for a bundle: with its plans, or with ONNX Runtime's CUDA provider."""

from sakuga.engine.backend.cuda.calls import Padding
from sakuga.engine.backend.cuda.core_driver import CoreDriver
from sakuga.engine.backend.cuda.device import CudaDevice
from sakuga.engine.backend.cuda.jit_cache import jit_file
from sakuga.engine.backend.cuda.loading import SELDOM, OnnxLoader, PlanLoader
from sakuga.engine.backend.cuda.options import CudaOptions
from sakuga.engine.backend.cuda.residency import Need, Residency, plan_fixed, plan_residency
from sakuga.engine.backend.network import Networks
from sakuga.engine.bundle import Bundle
from sakuga.engine.gpu import Gpu
from sakuga.engine.manifest import PlanSetEntry
from sakuga.profiles.buckets import Size, SizeList, SizeRule, Sizes
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE

_ONNX_ROWS = 8  # of a call where nothing says how many fit; memory that runs out halves them


def open_plans(
    bundle: Bundle,
    plans: PlanSetEntry,
    gpu: Gpu,
    vram_bytes: int | None,
    padding: Padding = "captured",
) -> CudaDevice:
    """A device with plans, within `vram_bytes` of GPU memory or what is free of it now."""
    driver = CoreDriver(gpu)
    free = driver.free_bytes()
    if padding == "full":
        residency = fixed_residency_of(plans, free, vram_bytes)
    else:
        residency = residency_of(plans, min(vram_bytes or free, free))
    options = CudaOptions(
        residency.rows,
        sizes_of(bundle, plans),
        residency=str(residency),
        visitors=_visitors(residency),
        turns=residency.turns,
        padding=padding,
    )
    jit = jit_file(plans.backend, plans.version, gpu)
    load = PlanLoader(bundle, plans, residency.visitors, jit)
    return CudaDevice(driver, Networks.of(bundle), load, options)


def open_onnx(bundle: Bundle, gpu: Gpu, padding: Padding = "captured") -> CudaDevice:
    """A device without plans."""
    networks = Networks.of(bundle)
    options = CudaOptions(min(_ONNX_ROWS, networks.max_rows), padding=padding)
    load = OnnxLoader(bundle, "fixed" if padding == "full" else "measured")
    return CudaDevice(CoreDriver(gpu), networks, load, options)


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
    return plan_residency(_needs(plans), budget_bytes, _largest(plans), _rows(plans))


def fixed_residency_of(plans: PlanSetEntry, free_bytes: int, vram_bytes: int | None) -> Residency:
    """The same with rows that do not depend on what is free: those of the plans, or as many as
    `vram_bytes` has room for.

    Raises DeviceMemoryError where they do not fit.
    """
    rows = _rows(plans) if vram_bytes is None else residency_of(plans, vram_bytes).rows
    budget_bytes = min(vram_bytes or free_bytes, free_bytes)
    return plan_fixed(_needs(plans), budget_bytes, _largest(plans), rows)


def _visitors(residency: Residency) -> frozenset[str]:
    """Where others only visit, memory is too short for the VAE's encoder to stay."""
    return residency.visitors and residency.visitors | {SELDOM}


def _rows(plans: PlanSetEntry) -> int:
    return ROWS_PER_PICTURE * plans.max_batch


def _largest(plans: PlanSetEntry) -> Size:
    return max(map(Size.parse, plans.sizes), key=lambda size: size.width * size.height)


def _needs(plans: PlanSetEntry) -> dict[str, Need]:
    sizes, largest = [Size.parse(text) for text in plans.sizes], _largest(plans)
    corner = Size(max(s.width for s in sizes), max(s.height for s in sizes))
    covered = corner if plans.shapes == "range" else largest
    return {
        name: Need(
            plan.weights_bytes, plan.activation_bytes,
            _rows(plans) if name == "unet" else 1,
            1 if name.startswith("text") else covered.width * covered.height,
        )
        for name, plan in plans.plans.items()
        if name != SELDOM
    }  # fmt: skip
