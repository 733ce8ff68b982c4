"""One picture to render, and what chance still decides of it."""

from dataclasses import dataclass, replace
from hashlib import sha256

from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.seeds import RANDOM_SEED


@dataclass(frozen=True)
class Job:
    """One picture to render. `id`: a safe file name; `source`, `line`: where the job is written,
    empty and 0 for one that no file holds. `notes`: what to say of the picture besides its own."""

    id: str
    request: Request
    source: str = ""
    line: int = 0
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether something is left to chance: its seed, or the seed of its variation."""
        return self.request.seed in (None, RANDOM_SEED) or _varies_at_random(self.request)


def with_seed(job: Job, seed: int) -> Job:
    """The job with nothing left to chance, a pure function of the job and `seed`."""
    if not job.open:
        return job
    request = job.request
    if request.seed in (None, RANDOM_SEED):
        request = replace(request, seed=seed)
    if _varies_at_random(request):
        digest = sha256(f"{seed} variation".encode()).digest()
        request = replace(request, variation_seed=int.from_bytes(digest[:4]))
    return replace(job, request=request)


def _varies_at_random(request: Request) -> bool:
    return bool(request.variation_strength) and request.variation_seed in (None, RANDOM_SEED)
