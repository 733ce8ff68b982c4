"""One picture to render, and what chance still decides of it."""

from dataclasses import dataclass, field, replace
from hashlib import sha256

from sakuga.engine.jobs.wildcards import Wildcards
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.seeds import RANDOM_SEED
from sakuga.engine.runtime.stages import Stage, Upscale

_ANY = (None, RANDOM_SEED)


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to render.

    `id`: a safe file name. `source`, `line`: where the job is written, empty and 0 for one that no
    file holds; `index`: which picture of the file it is, counted from 1. `notes`: what to say of
    the picture besides its own. `wildcards`: where the names in its prompts are found, None once
    they are replaced or where there are none.
    """

    id: str
    request: Request
    source: str = ""
    line: int = 0
    notes: tuple[str, ...] = ()
    index: int = 0
    wildcards: Wildcards | None = field(default=None, compare=False, repr=False)

    @property
    def open(self) -> bool:
        """Whether something is left to chance: its seed, or the seed of its variation."""
        return self.request.seed in _ANY or _varies_at_random(self.request)


def with_seed(job: Job, seed: int) -> Job:
    """The job with nothing left to chance, a pure function of the job and `seed`.

    Where the job has no seed it is `seed`, in [0, 2⁶⁴); where a variation has none, that follows
    from `seed`; wildcards are replaced by the job's seed. So one number a job, drawn once and
    written down, is enough to make its picture again. A job that is not open stays as it is.
    """
    if not job.open:
        return job
    asked = job.request
    settled = dict(vars(asked))
    if asked.seed in _ANY:
        settled["seed"] = seed
    if _varies_at_random(asked):
        settled["variation_seed"] = _variation_seed(seed)
    # Of a hundred thousand jobs `replace` takes half a second: it asks for each of many fields.
    request = object.__new__(Request)
    vars(request).update(settled)
    return with_wildcards_replaced(replace(job, request=request))


def with_wildcards_replaced(job: Job) -> Job:
    """The job with words in place of its wildcards, if its seed, which chooses them, is known."""
    request, wildcards = job.request, job.wildcards
    seed, negative = request.seed, request.negative_prompt
    if wildcards is None or seed is None or seed == RANDOM_SEED:
        return job
    request = replace(
        request,
        prompt=wildcards.replaced(request.prompt, seed, "prompt"),
        negative_prompt=negative and wildcards.replaced(negative, seed, "negative_prompt"),
        stages=tuple(_worded(wildcards, seed, *each) for each in enumerate(request.stages, 1)),
    )
    return replace(job, request=request, wildcards=None)


def _worded(wildcards: Wildcards, seed: int, number: int, stage: Stage) -> Stage:
    """A stage with words in place of the wildcards of its prompts, if it has any."""
    if isinstance(stage, Upscale):
        return stage
    place = f"stage {number}"
    if stage.prompt:
        stage = replace(stage, prompt=wildcards.replaced(stage.prompt, seed, f"{place} prompt"))
    if stage.negative_prompt:
        negative = wildcards.replaced(stage.negative_prompt, seed, f"{place} negative_prompt")
        stage = replace(stage, negative_prompt=negative)
    return stage


def _varies_at_random(request: Request) -> bool:
    return bool(request.variation_strength) and request.variation_seed in _ANY


def _variation_seed(seed: int) -> int:
    """Below 2³², as seeds nobody chose are."""
    return int.from_bytes(sha256(f"{seed} variation".encode()).digest()[:4])
