"""Another checkpoint's weights into a plan that was built for that: seconds instead of minutes.

The weights always come whole from the bound graph, which is written from the clean checkpoint and
the sum of its LoRAs, so nothing of the plan's former weights can stay behind. Needs the GPU.
"""

import time
from pathlib import Path

from sakuga.engine.errors import PlanBuildError
from sakuga.export.hashing_writer import HashingWriter
from sakuga.export.plans.builder import Desk, PlanFacts, Recipe
from sakuga.export.plans.callbacks import Guard, logger
from sakuga.export.plans.flavour import Flavour


def refit_plan(
    flavour: Flavour, donor: Path, known: PlanFacts, recipe: Recipe, desk: Desk
) -> PlanFacts:
    """Write the donor's plan with the weights of `recipe`; `known` is what the donor's build told.

    Raises PlanBuildError where TensorRT does not take every weight.
    """
    start, library = time.monotonic(), flavour.library
    messages = logger(library, desk.log, Guard())
    engine = library.Runtime(messages).deserialize_cuda_engine(donor.read_bytes())
    if engine is None:
        raise _failure(recipe, "the earlier plan does not load", desk)
    refitter = library.Refitter(engine, messages)
    if not library.OnnxParserRefitter(refitter, messages).refit_from_file(str(recipe.graph)):
        raise _failure(recipe, "the graph's weights are not those of the plan", desk)
    missing = refitter.get_missing_weights()
    if missing:
        raise _failure(recipe, f"{len(missing)} weights are missing, {missing[0]} first", desk)
    if not refitter.refit_cuda_engine():
        raise _failure(recipe, "TensorRT does not take the weights", desk)
    with desk.out.open("xb") as file:
        writer = HashingWriter(file)
        writer.write(memoryview(engine.serialize()))
    return PlanFacts(
        seconds=time.monotonic() - start,
        size_bytes=writer.position,
        sha256=writer.sha256,
        activation_bytes=known.activation_bytes,
        fused_attentions=known.fused_attentions,
    )


def _failure(recipe: Recipe, why: str, desk: Desk) -> PlanBuildError:
    return PlanBuildError(
        f"The earlier plan of {recipe.network} cannot take other weights.",
        note=" ".join([f"{why}.", *desk.log.errors]),
        hint=f"Its log is {desk.log.path}.",
    )
