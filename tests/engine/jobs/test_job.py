"""What chance decides of a job, and that one number fixes all of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.jobs.job import Job, with_seed
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.seeds import noise_plan

SEEDS = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("request_", "open_"),
    [
        (Request("a"), True),
        (Request("a", seed=-1), True),
        (Request("a", seed=0), False),
        (Request("a", seed=0, variation_strength=0.5, variation_seed=-1), True),
        (Request("a", seed=0, variation_strength=0.5), True),
        (Request("a", seed=0, variation_strength=0.5, variation_seed=0), False),
        (Request("a", seed=0, variation_strength=0), False),
        (Request("a", variation_strength=0.5, variation_seed=0), True),
    ],
)
def test_open_is_what_chance_decides(request_: Request, open_: bool) -> None:
    job = Job("x", request_)
    assert job.open is open_
    assert not with_seed(job, 5).open
    assert with_seed(with_seed(job, 5), 6) == with_seed(job, 5)


def test_what_is_given_stays() -> None:
    job = Job("x", Request("a", "b", seed=7, steps=3), "f", 2, ("n",), 4)
    assert with_seed(job, 5) is job
    open_job = Job("x", Request("a", "b", steps=3), "f", 2, ("n",), 4)
    assert with_seed(open_job, 5) == Job("x", Request("a", "b", seed=5, steps=3), "f", 2, ("n",), 4)


@given(SEEDS)
def test_a_variation_gets_a_seed_of_its_own(seed: int) -> None:
    job = with_seed(Job("x", Request("a", variation_strength=0.5)), seed)
    request = job.request
    assert request.seed == seed
    plan = noise_plan("NV", request.seed, request.variation_seed, request.variation_strength)
    assert (plan.seed, plan.variation_seed) == (seed, request.variation_seed)
    assert plan.variation_seed is not None and plan.variation_seed < 2**32


def test_the_seed_of_a_variation_never_changes() -> None:
    """Pictures are made again from the one number that was written down."""
    job = with_seed(Job("x", Request("a", seed=3, variation_strength=0.5)), 42)
    # printf '42 variation' | sha256sum | head -c 8
    assert (job.request.seed, job.request.variation_seed) == (3, 0x3C2BA349)


def test_open_jobs_keep_their_wildcards_until_they_have_a_seed(tmp_path: Path) -> None:
    (tmp_path / "hair.txt").write_text("red\ngreen\nblue\n")
    text = '{"prompt": "__hair__ hair"}\n{"prompt": "__hair__ hair", "seed": 5}'
    drawn, given_ = parse_jobs(text, "a.jsonl", wildcards=tmp_path)
    assert drawn.request == Request("__hair__ hair") and drawn.wildcards is not None
    assert given_.request.seed == 5 and given_.wildcards is None
    assert given_.request.prompt in {"red hair", "green hair", "blue hair"}
    settled = with_seed(drawn, 5)
    assert settled.request == given_.request and settled.wildcards is None
