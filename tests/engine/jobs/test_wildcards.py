"""Wildcards: which lines come, and that no file but those of the folder is read."""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.jobs.wildcards import MOST_NESTED, Wildcards, holds_wildcard
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.stages import Hires
from sakuga.engine.text.tokenizer import MAX_CHARACTERS

FILES = {
    "hair": "# colours\nred hair\n\n  green hair  \r\nblue hair\n",
    "clothes/top": "\ufeffsweater\n__clothes/colour__ hoodie\n",
    "clothes/colour": "white\nblack",
    "who": "1girl, __hair__, __clothes/top__",
    "a": "__b__",
    "b": "x\n__a__",
    "self": "__self__",
    "lost": "x\n__hiar__",
    "empty": "# nothing\n\n",
    "nul": "a\n\0b",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("outside")
    (base / "secret.txt").write_text("secret")
    for name, text in FILES.items():
        path = base / "wildcards" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    (base / "wildcards" / "latin.txt").write_bytes(b"a\nb\xe9")
    return base / "wildcards"


@pytest.fixture(scope="module")
def wildcards(folder: Path) -> Wildcards:
    return Wildcards(folder)


def replaced(wildcards: Wildcards, text: str, seed: int, place: str = "prompt") -> str:
    wildcards.check(text)
    return wildcards.replaced(text, seed, place)


def test_comments_and_blank_lines_are_no_choices(wildcards: Wildcards) -> None:
    found = Counter(replaced(wildcards, "__hair__", seed) for seed in range(300))
    assert found.keys() == {"red hair", "green hair", "blue hair"}
    assert min(found.values()) > 60


def test_wildcards_in_wildcards(wildcards: Wildcards) -> None:
    found = {replaced(wildcards, "(__who__:1.2)", seed) for seed in range(100)}
    tops = ("sweater", "white hoodie", "black hoodie")
    hairs = ("red hair", "green hair", "blue hair")
    assert found == {f"(1girl, {hair}, {top}:1.2)" for hair in hairs for top in tops}


def test_the_line_is_the_documented_one(wildcards: Wildcards) -> None:
    def drawn(place: str) -> int:
        return int.from_bytes(sha256(place.encode()).digest()[:8], "big")

    hair, top = ["red hair", "green hair", "blue hair"], ["sweater", "__clothes/colour__ hoodie"]
    for seed in (0, 7, 2**64 - 1):
        one, two = hair[drawn(f"{seed} prompt/1") % 3], top[drawn(f"{seed} prompt/2") % 2]
        colour = ["white", "black"][drawn(f"{seed} prompt/2/1") % 2]
        text = f"{one}, {two}".replace("__clothes/colour__", colour)
        assert replaced(wildcards, "__hair__, __clothes/top__", seed) == text
        assert (
            replaced(wildcards, "__hair__", seed, "negative_prompt")
            == (hair[drawn(f"{seed} negative_prompt/1") % 3])
        )


def test_pictures_of_a_grid_agree_in_their_words(folder: Path) -> None:
    line = '{"prompt": ["__hair__", "solo, __hair__"], "negative_prompt": "__hair__", "cfg": [5, 7]'
    jobs = parse_jobs(f'{line}, "seed": 9}}', "a.jsonl", wildcards=folder)
    assert len({job.request.prompt.removeprefix("solo, ") for job in jobs}) == 1
    assert all("__" not in (job.request.negative_prompt or "__") for job in jobs)
    jobs = parse_jobs(f'{line}, "seed": 9, "count": 40}}', "a.jsonl", wildcards=folder)
    assert len({job.request.prompt for job in jobs}) == 6


def test_the_order_of_jobs_does_not_matter(folder: Path) -> None:
    lines = [f'{{"prompt": "__who__", "seed": {seed}}}' for seed in range(20)]
    there = parse_jobs("\n".join(lines), "a.jsonl", wildcards=folder)
    back = parse_jobs("\n".join(reversed(lines)), "a.jsonl", wildcards=folder)
    assert [job.request for job in there] == [job.request for job in reversed(back)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("__hiar__", "There is no wildcard __hiar__."),
        ("__clothes__", "There is no wildcard __clothes__."),
        ("__hair colour__", "There is no wildcard __hair colour__."),
        ("__*__", "There is no wildcard __*__."),
        ("__lost__", "There is no wildcard __hiar__ in "),
        ("__a__", "The wildcard __a__ leads back to itself."),
        ("__b__", "The wildcard __b__ leads back to itself."),
        ("__self__", "The wildcard __self__ leads back to itself."),
        ("__empty__", "empty.txt has no lines."),
        ("__nul__", "nul.txt, line 2: holds a NUL."),
        ("__latin__", "latin.txt, line 2: not UTF-8"),
    ],
)
def test_what_cannot_be_replaced_is_named_with_its_line(folder: Path, text: str, what: str) -> None:
    for name in ("prompt", "negative_prompt"):
        line = f'{{"prompt": "x", "{name}": ["y", "{text}"]}}'.replace(
            '"prompt": "x", "prompt"', '"prompt"'
        )
        with pytest.raises(UsageError) as caught:
            parse_jobs(f"\n{line}", "a.jsonl", wildcards=folder)
        assert caught.value.what.startswith("a.jsonl, line 2: ") and what in caught.value.what


def test_the_nearest_name_is_said(wildcards: Wildcards) -> None:
    with pytest.raises(UsageError, match="Did you mean __hair__"):
        wildcards.check("__hiar__")


@pytest.mark.parametrize(
    "name",
    ["../secret", "../wildcards/hair", "./hair", "/hair", "clothes/../hair", "clothes//top",
     "clothes\\top", "..", "hair.txt", "~/hair", "C:/hair", "%2e%2e/secret"],
)  # fmt: skip
def test_names_lead_nowhere_else(wildcards: Wildcards, folder: Path, name: str) -> None:
    absolute = str(folder.parent / "secret")
    for each in (name, absolute):
        if holds_wildcard(f"__{each}__"):
            with pytest.raises(UsageError, match="There is no wildcard"):
                wildcards.check(f"__{each}__")


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "real.txt").write_text("fine")
    try:
        (tmp_path / "inside" / "out.txt").symlink_to(tmp_path / "secret.txt")
        (tmp_path / "inside" / "in.txt").symlink_to("real.txt")
    except OSError:
        pytest.skip("links cannot be made here")
    found = Wildcards(tmp_path / "inside")
    assert replaced(found, "__in__", 0) == "fine"
    with pytest.raises(UsageError, match="is a link out of its folder"):
        found.check("__out__")


def chain(folder: Path, length: int) -> Wildcards:
    for nth in range(1, length):
        (folder / f"w{nth}.txt").write_text(f"__w{nth + 1}__")
    (folder / f"w{length}.txt").write_text("end")
    return Wildcards(folder)


def test_nesting_has_an_end_in_whatever_order_it_is_seen(tmp_path: Path) -> None:
    found = chain(tmp_path, MOST_NESTED)
    assert replaced(found, "__w1__", 0) == "end"
    found = chain(tmp_path, MOST_NESTED + 1)
    with pytest.raises(UsageError, match="too deep"):
        found.check("__w1__")
    found = Wildcards(tmp_path)
    found.check("__w2__")
    with pytest.raises(UsageError, match="too deep"):
        found.check("x __w1__")


def test_a_prompt_that_could_grow_without_end_is_refused(tmp_path: Path) -> None:
    for nth in range(20):
        (tmp_path / f"w{nth}.txt").write_text("short\n" + f"__w{nth + 1}__" * 10)
    (tmp_path / "w20.txt").write_text("x")
    with pytest.raises(UsageError, match="can become too long"):
        Wildcards(tmp_path).check("__w0__")
    longest = Wildcards(tmp_path)
    longest.check("__w17__" + "y" * (MAX_CHARACTERS - 1000))
    with pytest.raises(UsageError, match=f"{MAX_CHARACTERS + 1:,} characters"):
        longest.check("__w17__" + "y" * (MAX_CHARACTERS - 999))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        Wildcards(tmp_path / "none")
    (job,) = parse_jobs('{"prompt": "__hair__, x", "seed": 1}', "a.jsonl")
    assert job.request.prompt == "__hair__, x"
    assert "no folder of wildcards is given" in job.notes[0]


@pytest.mark.parametrize(
    "text", ["flat_coating", "a __ b", "____", "__ a__", "__a, b__", "_a__b_", "(o)__(o)", "__a"]
)
def test_what_is_no_wildcard(wildcards: Wildcards, text: str) -> None:
    assert not holds_wildcard(text)
    assert replaced(wildcards, text, 0) == text


@given(st.text(alphabet="_ab/ ,\n.#", max_size=30), st.integers(0, 2**64 - 1))
def test_any_text_is_replaced_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    if not folder.exists():
        folder.mkdir()
        (folder / "a.txt").write_text("x\ny")
    found = Wildcards(folder)
    try:
        found.check(text)
    except UsageError:
        assert holds_wildcard(text)
    else:
        assert "__a__" not in found.replaced(text, seed, "prompt")


def test_prompts_of_stages_have_wildcards_too(folder: Path) -> None:
    line = (
        '{"prompt": "a", "seed": 9, "hires": {"prompt": "__hair__"}, '
        '"detail": ["face:prompt=__hair__ [SEP] x"]}'
    )
    (job,) = parse_jobs(line, "a.jsonl", wildcards=folder)
    (again,) = parse_jobs(line, "a.jsonl", wildcards=folder)
    hires, detail = job.request.stages
    assert isinstance(hires, Hires) and isinstance(detail, Detail) and hires.prompt is not None
    assert "__" not in hires.prompt and detail.prompt.endswith(" [SEP] x")
    assert "__" not in detail.prompt and again == job
    with pytest.raises(UsageError, match="no wildcard __hairr__"):
        parse_jobs(line.replace("__hair__ [", "__hairr__ ["), "a.jsonl", wildcards=folder)
    (plain,) = parse_jobs(line, "a.jsonl")
    assert "wildcard" in plain.notes[0]
