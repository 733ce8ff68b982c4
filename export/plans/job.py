"""Which plans a build shall make: options in words to a library, its targets and their shapes."""

from dataclasses import dataclass

from sakuga.engine.errors import MissingDependencyError, SizeError, TargetError, UsageError
from sakuga.engine.gpu import Gpu, find_gpu
from sakuga.export.plans.flavour import CURRENT, Flavour, PlanBackend, load_flavour
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import Family
from sakuga.profiles.networks import ROWS
from sakuga.profiles.plan_shapes import ROWS_PER_PICTURE, PlanShapes


@dataclass(frozen=True)
class Targets:
    """A loaded library, what to build for, and the GPU of this machine."""

    flavour: Flavour
    names: tuple[str, ...]
    gpu: Gpu | None

    @property
    def tuned_on(self) -> Gpu | None:
        """The GPU the plans belong to, None where they are built ahead of time."""
        return self.gpu if self.names == (CURRENT,) else None


@dataclass(frozen=True)
class PlanJob:
    """Which plans: for which targets, at which shapes, and whether they take other weights."""

    targets: Targets
    shapes: PlanShapes
    refittable: bool = False

    @property
    def name(self) -> str:
        """The folder of the plans."""
        return folder_name(self.targets)


def folder_name(aims: Targets) -> str:
    """What a folder of plans for these targets is called: library, version, target."""
    target = aims.tuned_on.capability if aims.tuned_on else "+".join(aims.names)
    return f"{aims.flavour.backend}-{aims.flavour.version}-{target}"


def default_backend() -> PlanBackend | None:
    """The library that is there, and builds for the GPU that is there; None without either."""
    gpu = find_gpu()
    if gpu is None:
        return None
    order: tuple[PlanBackend, ...] = ("tensorrt", "rtx")
    for backend in order:
        try:
            able = load_flavour(backend).capabilities()
        except MissingDependencyError:
            continue
        if not able or gpu.capability in able:
            return backend
    return None


def targets(backend: PlanBackend, gpu: str) -> Targets:
    """Load the library and read `--gpu`: `current`, `any`, or capabilities with commas between.

    Raises MissingDependencyError without the library, TargetError for what it cannot build for.
    """
    flavour, here = load_flavour(backend), find_gpu()
    words = (word.strip().lower().removeprefix("sm_") for word in gpu.split(","))
    given = {f"sm{word}" if word.isdigit() else word for word in words}
    names = tuple(sorted(given, key=lambda name: (len(name), name)))  # sm89 before sm120
    flavour.check_targets(names, here)
    return Targets(flavour, names, here)


def check_refit(aims: Targets) -> None:
    """Raise TargetError where plans that take other weights cannot be built."""
    if aims.tuned_on is None:
        raise TargetError(
            "Plans that take other weights are built on their GPU.",
            note=f"Asked for was --gpu {','.join(aims.names)}; TensorRT needs the GPU itself to "
            "make a plan refittable and to refit it.",
            hint="Leave --refit out, or build where the GPU is.",
        )
    if not aims.flavour.refits_rightly():
        raise TargetError(
            f"{aims.flavour.backend} {aims.flavour.version} may lose biases when it refits.",
            note="NVIDIA's notes on TensorRT 11.3 say so; 11.4 has it no more.",
            hint="Use another version, or leave --refit out.",
        )


def plan_shapes(shapes: str, max_batch: int, family: Family) -> PlanShapes:
    """Read `--shapes`: `buckets`, `range`, or sizes such as `832x1216,1024x1024`.

    Raises UsageError for anything else and for more rows than a graph takes, SizeError for sizes
    the family does not render.
    """
    if not 1 <= max_batch <= ROWS.maximum // ROWS_PER_PICTURE:
        raise UsageError(
            f"A batch of {max_batch} pictures is not one the networks take.",
            note=f"With guidance a picture is {ROWS_PER_PICTURE} rows, and a call has from 1 to "
            f"{ROWS.maximum}.",
            hint=f"Give --max-batch from 1 to {ROWS.maximum // ROWS_PER_PICTURE}.",
        )
    if shapes == "buckets":
        return PlanShapes("buckets", family.buckets, max_batch)
    if shapes == "range":
        return PlanShapes("range", family.buckets, max_batch)
    sizes = tuple(dict.fromkeys(_size(word) for word in shapes.split(",")))
    for size in sizes:
        if not family.sizes.allows(size):
            near = ", ".join(map(str, family.sizes.nearest(size)))
            raise SizeError(
                f"{size} is no size that {family.name} renders.",
                note=str(family.sizes),
                hint=f"Near it: {near}.",
            )
    return PlanShapes("sizes", sizes, max_batch)


def _size(word: str) -> Size:
    try:
        return Size.parse(word.strip())
    except ValueError as error:
        raise UsageError(
            f"--shapes does not know {word.strip()!r}.",
            note="It takes `buckets`, `range`, or sizes with commas between.",
            hint="For instance: --shapes 832x1216,1024x1024",
        ) from error
