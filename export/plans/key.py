"""What a plan depends on, and the digest of all of it: the name it is cached under."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sakuga.engine.gpu import Gpu
from sakuga.export.plans.builder import Recipe
from sakuga.export.plans.flavour import Flavour

# Raised whenever a change to Sakuga itself changes the plans it builds.
BUILDER = 2


@dataclass(frozen=True)
class PlanKey:
    """Everything that makes two plans different.

    The bound graph's digest stands for family, precision and graph; that of the weights for the
    checkpoint and every LoRA merged into it. The GPU counts where TensorRT tuned the plan on it;
    a plan built ahead of time knows none. The driver does not: plans outlive it.
    """

    backend: str
    version: str
    builder: int
    network: str
    graph_sha256: str
    weights_sha256: str
    targets: tuple[str, ...]
    gpu: str | None
    refittable: bool
    profiles: tuple[Mapping[str, tuple[tuple[int, ...], ...]], ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the key in hex."""
        return _digest(asdict(self))

    @property
    def digest_without_weights(self) -> str:
        """The same of all but the weights: equal for plans that can take each other's."""
        return _digest({**asdict(self), "weights_sha256": ""})


def read_key(raw: Mapping[str, Any]) -> PlanKey:
    """A key from its JSON. Raises TypeError for anything else."""
    profiles = tuple(
        {name: tuple(map(tuple, shapes)) for name, shapes in profile.items()}
        for profile in raw["profiles"]
    )
    return PlanKey(**{**raw, "targets": tuple(raw["targets"]), "profiles": profiles})


def _digest(fields: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def plan_key(
    flavour: Flavour, recipe: Recipe, sha256: tuple[str, str], tuned_on: Gpu | None
) -> PlanKey:
    """The key of a recipe; `sha256` of the graph file and of the weights file."""
    return PlanKey(
        backend=flavour.backend,
        version=flavour.version,
        builder=BUILDER,
        network=recipe.network,
        graph_sha256=sha256[0],
        weights_sha256=sha256[1],
        targets=recipe.targets,
        gpu=str(tuned_on) if tuned_on else None,
        refittable=recipe.refittable,
        profiles=tuple(
            {name: (s.minimum, s.optimum, s.maximum) for name, s in profile.items()}
            for profile in recipe.profiles
        ),
    )
