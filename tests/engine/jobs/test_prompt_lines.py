"""A1111's "prompts from file" lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size


def jobs_of(*lines: str) -> list[Job]:
    return parse_jobs("\n".join(lines), "prompts.txt")


def request_of(line: str) -> Request:
    (job,) = jobs_of(line)
    return job.request


def test_a_prompt_a_line() -> None:
    jobs = jobs_of("  1girl, (smile:1.2), lucy \\(cyberpunk\\) ", "", 'it\'s -- a "prompt"\r')
    assert jobs == [
        Job(
            "00001", Request("1girl, (smile:1.2), lucy \\(cyberpunk\\)"), "prompts.txt", 1, index=1
        ),
        Job("00002", Request('it\'s -- a "prompt"'), "prompts.txt", 3, index=2),
    ]


def test_all_of_a1111s_options() -> None:
    line = (
        '--prompt "1girl, \\"hi\\", lucy \\(cyberpunk\\)" --negative_prompt "lowres, bad" '
        "--seed 42 --subseed 7 --subseed_strength 0.25 --steps 20 --cfg_scale 7 --width 832 "
        '--height 1216 --sampler_name "Euler a" --seed_resize_from_w 512 --seed_resize_from_h 768 '
        "--batch_size 1 --n_iter 1 --restore_faces false --tiling False "
        "--do_not_save_samples false --do_not_save_grid false"
    )
    (job,) = jobs_of(line)
    assert job.notes == ()
    assert job.request == Request(
        '1girl, "hi", lucy \\(cyberpunk\\)',
        "lowres, bad",
        seed=42,
        variation_seed=7,
        variation_strength=0.25,
        steps=20,
        guidance=7,
        width=832,
        height=1216,
        sampler="Euler a",
        seed_resize=Size(512, 768),
    )


def test_prompts_without_quotes_go_on_to_the_next_option() -> None:
    assert request_of("--prompt a cat , 1girl --steps 5") == Request("a cat , 1girl", steps=5)
    assert request_of("--prompt -1 --negative_prompt 'a b' c") == Request("-1", "a b c")


def test_our_own_options_and_dashes() -> None:
    (job,) = jobs_of('--id x --prompt "a" --cfg-scale 5 --schedule Karras --seed -1 --rng CPU')
    assert job.id == "x"
    assert job.request == Request("a", guidance=5, schedule="Karras", rng="CPU")


def test_batches_are_multiplied() -> None:
    jobs = jobs_of('--prompt "a" --seed 5 --batch_size 2 --n_iter 3', '--prompt "b" --n_iter 2')
    assert [job.request.seed for job in jobs] == [5, 6, 7, 8, 9, 10, None, None]


@pytest.mark.parametrize("sides", [("0", "0"), ("-1", "-1")])
def test_a_seed_that_is_not_resized(sides: tuple[str, str]) -> None:
    line = '--prompt "a" --seed_resize_from_w {} --seed_resize_from_h {}'
    assert request_of(line.format(*sides)) == Request("a")


def test_what_changes_no_picture_is_noted() -> None:
    (job,) = jobs_of('--prompt "a" --outpath_samples x --do_not_save_grid true')
    assert job.request == Request("a")
    assert len(job.notes) == 2 and "--outpath_samples is not followed" in job.notes[0]


@pytest.mark.parametrize(
    ("line", "what", "more"),
    [
        ('--prompt "a" --sd_model x', "--sd_model cannot be followed", "one bundle"),
        ('--prompt "a" --styles x', "--styles cannot be followed", "no styles"),
        ('--prompt "a" --sampler_index 3', "--sampler_index cannot be followed", "--sampler_name"),
        ('--prompt "a" --restore_faces true', "--restore_faces cannot be followed", "Leave it"),
        ('--prompt "a" --tiling true', "--tiling cannot be followed", "Leave it out"),
        ('--prompt "a" --do_not_save_samples true', "--do_not_save_samples cannot", "written"),
        ('--prompt "a" --stepz 5', "there is no option '--stepz'", "Did you mean --steps?"),
        ('--prompt "a" --steps', "--steps has no value", "leave it out"),
        ('--prompt "a" --steps --seed 5', "--steps has no value", "leave it out"),
        ('--steps 5 6 --prompt "a"', "'6' stands where an option is expected", "into quotes"),
        ('--prompt "a" --steps 5 --steps 6', "--steps is given twice", "Keep one"),
        ('--prompt "a" --cfg 5 --guidance 6', "field 'guidance' is given twice", "names of"),
        ('--prompt "a" --n_iter 2 --batch_size 2 --count 2', "'count' is given twice", "Keep"),
        ('--prompt "a" --n_iter x --batch_size 2', "field 'n_iter' must be", 'It is "x".'),
        ('--prompt "a" --n_iter 5000 --batch_size 2', "field 'count' must be", "It is 10000."),
        ('--prompt "a" --steps x', "field 'steps' must be a whole number", 'It is "x".'),
        ('--prompt "a" --sampler_name Eulr', "field 'sampler_name': There is no", "Euler"),
        ('--prompt "a" --seed_resize_from_w 5', "belong together", "Give both"),
        ('--prompt "a" --seed_resize_from_w x --seed_resize_from_h 5', "'seed_resize' must", "x5"),
        ('--prompt "a', "the quotes do not match", "column 10"),
        ("--prompt it's", "the quotes do not match", "column 12"),
        ("--steps 5", "field 'prompt' is missing", "needs a prompt"),
        ("--", "there is no option '--'", "Known options"),
        ("1girl --steps 20", "the option --steps stands behind a prompt", "Begin the line with"),
        ("1girl --cfg-scale 20", "the option --cfg-scale stands behind", "Begin the line with"),
        ("a\0", "field 'prompt'", "holds a NUL"),
    ],
)
def test_errors_name_line_and_option(line: str, what: str, more: str) -> None:
    with pytest.raises(UsageError) as caught:
        jobs_of("1girl", "", line)
    assert caught.value.what.startswith("prompts.txt, line 3: ")
    assert what in caught.value.what and more in str(caught.value)


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=20)


@given(WORDS.filter(lambda text: not text.startswith("--")))
def test_a_quoted_prompt_comes_back(prompt: str) -> None:
    quoted = prompt.replace("\\", "\\\\").replace('"', '\\"')
    assert request_of(f'--prompt "{quoted}" --steps 5') == Request(prompt, steps=5)


@given(st.text(max_size=40))
def test_any_text_gives_jobs_or_a_clear_error(text: str) -> None:
    for line in (text, f"--prompt {text}"):
        try:
            assert parse_jobs(line, "a.txt")
        except UsageError as error:
            assert error.what.startswith("a.txt")
