"""Lists and counts: which pictures, in which order, with which ids and seeds."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.runtime.request import Request


def jobs_of(**fields: object) -> list[Job]:
    return parse_jobs(json.dumps(fields), "jobs.jsonl")


def error_of(**fields: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        jobs_of(**fields)
    assert caught.value.what.startswith("jobs.jsonl, line 1: ")
    return caught.value


def test_every_combination_the_last_list_fastest() -> None:
    jobs = jobs_of(id="x", prompt=["a", "b"], steps=9, cfg=[5, 7], seed=3)
    assert [job.id for job in jobs] == ["x-0001", "x-0002", "x-0003", "x-0004"]
    assert [job.index for job in jobs] == [1, 2, 3, 4]
    assert [job.request for job in jobs] == [
        Request(prompt, steps=9, guidance=cfg, seed=3) for prompt in "ab" for cfg in (5, 7)
    ]


def test_the_order_is_that_of_the_line() -> None:
    jobs = jobs_of(cfg=[5, 7], prompt=["a", "b"])
    assert [(job.request.guidance, job.request.prompt) for job in jobs] == [
        (5, "a"), (5, "b"), (7, "a"), (7, "b"),
    ]  # fmt: skip


def test_lists_of_defaults_change_more_slowly() -> None:
    lines = '{"defaults": {"cfg": [5, 7]}}\n{"prompt": ["a", "b"]}'
    jobs = parse_jobs(lines, "jobs.jsonl")
    assert [(job.request.guidance, job.request.prompt) for job in jobs] == [
        (5, "a"), (5, "b"), (7, "a"), (7, "b"),
    ]  # fmt: skip


def test_a_count_counts_the_seed_up_in_every_cell() -> None:
    jobs = jobs_of(prompt="a", cfg=[5, 7], seed=10, count=3)
    assert [(job.request.guidance, job.request.seed) for job in jobs] == [
        (cfg, seed) for cfg in (5, 7) for seed in (10, 11, 12)
    ]
    first = jobs[:3]
    assert [job.request for job in first] == Request("a", guidance=5, seed=10).times(3)


def test_a_count_of_a_variation_counts_the_variation_up() -> None:
    jobs = jobs_of(prompt="a", seed=1, variation_seed=5, variation_strength=0.5, count=2)
    request = Request("a", seed=1, variation_seed=5, variation_strength=0.5)
    assert [job.request for job in jobs] == request.times(2)
    jobs = jobs_of(prompt="a", seed=1, variation_strength=0.5, count=2)
    assert [(job.request.seed, job.request.variation_seed) for job in jobs] == [(1, None)] * 2
    assert (
        "a count of variations needs a seed"
        in error_of(prompt="a", variation_strength=0.5, count=2).what
    )


def test_random_seeds_are_each_pictures_own() -> None:
    jobs = jobs_of(prompt=["a", "b"], seed=[-1, 5], count=2)
    assert [job.request.seed for job in jobs] == [None, None, 5, 6] * 2


def test_null_in_a_list_is_the_usual_value() -> None:
    jobs = jobs_of(prompt="a", cfg=[None, 5], hires=[None, "1.5:lanczos:0.4"])
    assert [(job.request.guidance, len(job.request.stages)) for job in jobs] == [
        (None, 0), (None, 1), (5, 0), (5, 1),
    ]  # fmt: skip
    assert [job.request.seed for job in jobs_of(prompt="a", seed=[None, 5])] == [None, 5]
    negatives = jobs_of(prompt="a", negative_prompt=[None, "b"])
    assert [job.request.negative_prompt for job in negatives] == [None, "b"]


def test_a1111_s_two_counts_are_multiplied() -> None:
    jobs = jobs_of(prompt="a", batch_size=2, n_iter=3, seed=1)
    assert [job.request.seed for job in jobs] == [*range(1, 7)]
    assert "'count' is given twice" in error_of(prompt="a", batch_size=2, n_iter=2, count=2).what
    assert "It is 40000." in error_of(prompt="a", batch_size=200, n_iter=200).note
    assert len(jobs_of(prompt="a", batch_size=2, n_iter=None)) == 2


def test_one_value_is_one_picture() -> None:
    (job,) = jobs_of(prompt=["a"], steps=[5], count=1)
    assert (job.id, job.request) == ("00001", Request("a", steps=5))


def test_seeds_end_at_the_largest() -> None:
    assert len(jobs_of(prompt="a", seed=2**64 - 2, count=2)) == 2
    assert (
        "the seeds of 3 pictures from 18446744073709551614"
        in error_of(prompt="a", seed=2**64 - 2, count=3).what
    )


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"prompt": []}, "field 'prompt' is an empty list"),
        ({"prompt": "a", "steps": [[5]]}, "value 1 of field 'steps' must be a whole"),
        ({"prompt": "a", "cfg": [5, "7"]}, "value 2 of field 'cfg' must be a number"),
        ({"prompt": ["a", None]}, "value 2 of field 'prompt' must be"),
        ({"prompt": "a", "sampler": ["Euler", "Eulr"]}, "value 2 of field 'sampler': There is no"),
        ({"prompt": "a", "count": [1, 2]}, "field 'count' cannot be a list"),
        ({"prompt": "a", "id": ["a", "b"]}, "field 'id' cannot be a list"),
    ],
)
def test_lists_that_are_no_axes(fields: dict[str, Any], what: str) -> None:
    assert what in error_of(**fields).what


@given(
    st.permutations(["prompt", "steps", "cfg", "seed", "sampler"]),
    st.lists(st.integers(1, 3), min_size=5, max_size=5),
    st.integers(1, 3),
)
def test_any_grid_is_the_product(names: list[str], sizes: list[int], count: int) -> None:
    choices: dict[str, list[Any]] = {
        "prompt": ["a", "b", "c"],
        "steps": [5, 6, 7],
        "cfg": [1.5, 2, 3],
        "seed": [0, 10, 20],
        "sampler": ["Euler", "Euler a", "Heun"],
    }
    axes = {name: choices[name][:size] for name, size in zip(names, sizes, strict=True)}
    jobs = jobs_of(**axes, count=count)
    found = [
        (job.request.prompt, job.request.steps, job.request.guidance, job.request.sampler,
         job.request.seed)
        for job in jobs
    ]  # fmt: skip
    wanted = [
        (cell["prompt"], cell["steps"], cell["cfg"], cell["sampler"], cell["seed"] + nth)
        for values in itertools.product(*axes.values())
        for cell in [dict(zip(axes, values, strict=True))]
        for nth in range(count)
    ]
    assert found == wanted
    assert len({job.id for job in jobs}) == len(jobs)
