"""The two TensorRTs behind one face: TensorRT and TensorRT for RTX.

Everything in which they and their versions differ is here; nothing else asks which one it is.
Names that come and go between versions are looked up in the library, never by number.
"""

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from sakuga.engine.errors import MissingDependencyError, TargetError, install_hint
from sakuga.engine.gpu import Gpu
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.callbacks import Guard, stream_writer

PlanBackend = Literal["rtx", "tensorrt"]
CURRENT, ANY = "current", "any"  # targets: the GPU at hand; every GPU the library knows

# What NVIDIA has given compute capabilities to since Turing; a target outside is a typing error.
KNOWN = ("sm75", "sm80", "sm86", "sm87", "sm89", "sm90", "sm100", "sm103", "sm120", "sm121")

_MODULES = {"rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}
_VERSIONS = {"rtx": ((1, 7), (2,)), "tensorrt": ((10, 12), (12,))}  # from, below
_ALWAYS_STRONGLY_TYPED = {"rtx": None, "tensorrt": 11}  # from which major version on


@dataclass(frozen=True)
class Flavour:
    """One of the two libraries, loaded."""

    backend: PlanBackend
    library: Any  # the module; TensorRT for RTX has no stubs, and the surfaces are the same
    version: str

    def create_network(self, builder: Any) -> Any:  # noqa: ANN401
        """An empty network that computes in the types its graph names."""
        since = _ALWAYS_STRONGLY_TYPED[self.backend]
        if since is not None and _parts(self.version)[0] >= since:
            return builder.create_network(0)
        flag = self.library.NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return builder.create_network(1 << int(flag))

    def capabilities(self) -> tuple[str, ...]:
        """Compute capabilities that can be named ahead of time, smallest first; may be empty."""
        names = getattr(self.library, "ComputeCapability", None)
        found = [name.lower() for name in dir(names) if name.startswith("SM")] if names else []
        return tuple(sorted(found, key=lambda name: int(name[2:])))

    def check_targets(self, targets: tuple[str, ...], gpu: Gpu | None) -> None:
        """Raise TargetError where plans for these targets cannot be built here."""
        able = self.capabilities()
        for target in targets:
            if target not in {CURRENT, ANY, *KNOWN, *able}:
                raise TargetError(
                    f"{target!r} is no GPU target.",
                    note=f"Known compute capabilities: {', '.join(KNOWN)}; also `current`, `any`.",
                    hint="A GeForce RTX 30 is sm86, an RTX 40 sm89, an RTX 50 sm120.",
                )
        if len(targets) > 1 and {CURRENT, ANY} & set(targets):
            raise TargetError(
                f"{CURRENT!r} and {ANY!r} stand alone.",
                note=f"Asked for were {', '.join(targets)}.",
                hint="Name capabilities, or one of the two words.",
            )
        if targets == (CURRENT,):
            if gpu is None:
                raise TargetError(
                    "There is no GPU here to build for.",
                    note=f"The {self.backend} backend was asked for plans of the GPU at hand.",
                    hint=self._elsewhere_hint(),
                )
            return
        unable = [target for target in targets if target not in able and target != ANY]
        if unable or not able:
            raise TargetError(
                f"{self.backend} {self.version} cannot build for {', '.join(unable or targets)}.",
                note=f"Ahead of time it builds for {', '.join(able) or 'no GPU'}.",
                hint=self._elsewhere_hint(),
            )

    def set_targets(self, config: Any, targets: tuple[str, ...]) -> None:  # noqa: ANN401
        """Tell a builder's config what to build for. Without a word it is the GPU at hand for
        TensorRT, and every supported one for TensorRT for RTX."""
        names = getattr(self.library, "ComputeCapability", None)
        if targets == (ANY,) or names is None:
            return
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            config.set_compute_capability(getattr(names, target.upper()), index)

    def serialize(
        self,
        builder: Any,  # noqa: ANN401
        network: Any,  # noqa: ANN401
        config: Any,  # noqa: ANN401
        writer: HashingWriter,
        guard: Guard,
    ) -> bool:
        """Build and write the plan; whether that went well. Before TensorRT 10.13 a plan comes in
        one piece, as large in memory as on the disk."""
        if hasattr(builder, "build_serialized_network_to_stream"):
            stream = stream_writer(self.library, writer, guard)
            return bool(builder.build_serialized_network_to_stream(network, config, stream))
        plan = builder.build_serialized_network(network, config)
        if plan is not None:
            writer.write(memoryview(plan))
        return plan is not None

    def refits_rightly(self) -> bool:
        """Whether refitting gives right numbers: TensorRT 11.3 may drop biases."""
        return self.backend == "rtx" or _parts(self.version)[:2] != (11, 3)

    def keeps_timings(self) -> bool:
        """Whether builds measure kernels, so that a timing cache speeds up the next one."""
        return self.backend == "tensorrt"

    def _elsewhere_hint(self) -> str:
        able = self.capabilities()
        if able:
            return f"Name one: --backend {self.backend} --gpu {','.join(able[-3:])}"
        return "Build on the machine that has the GPU, or use --backend rtx --gpu sm89."


def load_flavour(backend: PlanBackend) -> Flavour:
    """Load a library. Raises MissingDependencyError where it is absent or of another version."""
    try:
        library = importlib.import_module(_MODULES[backend])
        version = str(library.__version__)
    except Exception as error:  # what a half-installed library raises is its own affair
        raise MissingDependencyError(
            f"The backend {backend} needs {_MODULES[backend]}, which does not load.",
            note=f"{type(error).__name__}: {error}.",
            hint=_install_hint(backend),
        ) from error
    low, below = _VERSIONS[backend]
    if not low <= _parts(version) < below:
        raise MissingDependencyError(
            f"{_MODULES[backend]} {version} is not one Sakuga works with.",
            note=f"It must be {_dotted(low)} or newer, and older than {_dotted(below)}.",
            hint=_install_hint(backend),
        )
    return Flavour(backend, library, version)


def _install_hint(backend: PlanBackend) -> str:
    hint = install_hint(backend)
    if backend == "tensorrt":
        hint += " Its builder libraries come from NVIDIA's own package index."
    return hint


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
