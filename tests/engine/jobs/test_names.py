"""Names from templates: what they hold, that they stay in the folder, that no two are one file."""

import itertools
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.ids import MAX_BYTES, id_fault, safe_part
from sakuga.engine.jobs.job import Job
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.jobs.names import DEFAULT, FIELDS, NameSource, NameTemplate, check_names
from sakuga.engine.presets import choose_preset
from sakuga.engine.runtime.defaults import preset_defaults
from sakuga.engine.runtime.request import Defaults, Request
from sakuga.profiles.buckets import Size

PLAIN = NameSource(Defaults(Size(832, 1216)), "some model")
EVERY_FIELD = "".join(f"{{{name}}}" for name in FIELDS)


def name_of(template: str, job: Job, source: NameSource = PLAIN) -> str:
    return NameTemplate.parse(template).name(job, source)


def job_of(**fields: object) -> Job:
    request: dict[str, Any] = {"prompt": "a", "seed": 7} | fields
    return Job("x", Request(**request), index=12)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (DEFAULT, "x"),
        ("{seed}", "7"),
        ("{index}", "00012"),
        ("{width}x{height}", "832x1216"),
        ("{steps}-{guidance}", "28-7"),
        ("{sampler}", "Euler a"),
        ("{preset}/{model}", "none/some model"),
        ("a/{id}/{{b}}{seed}", "a/x/{b}7"),
    ],
)
def test_fields_that_the_bundle_answers(template: str, name: str) -> None:
    assert name_of(template, job_of()) == name


@pytest.mark.parametrize(
    ("template", "name", "fields"),
    [
        ("{width}x{height}", "512x640", {"width": 512, "height": 640}),
        ("{steps}-{guidance}", "9-5.25", {"steps": 9, "guidance": 5.25}),
        ("{guidance}", "0", {"guidance": 0}),
        ("{guidance}", "6", {"guidance": 6.0}),
        ("{sampler}", "DPM++ 2M Karras", {"sampler": "dpmpp_2m_karras"}),
        ("{prompt}", "1girl-long_hair-1-2-smile", {"prompt": "1girl, (long_hair:1.2), smile"}),
        ("{prompt}", "a-b-c-d-e-f-g-h", {"prompt": "a b c d e f g h i"}),
        ("{prompt}", "緑の髪-1girl", {"prompt": "緑の髪、1girl"}),
        ("{prompt}", "_", {"prompt": ", ()"}),
        ("{prompt}", "caf\u00e9", {"prompt": "cafe\u0301"}),
        ("{prompt}", "x" * 60, {"prompt": "x" * 500}),
        ("{id}-{prompt}", "x-etc-passwd", {"prompt": "../../etc/passwd"}),
    ],
)
def test_fields_that_the_job_answers(template: str, name: str, fields: dict[str, Any]) -> None:
    assert name_of(template, job_of(**fields)) == name


def test_fields_that_a_preset_answers() -> None:
    preset = choose_preset("animagine-xl-3.1", "sdxl")
    assert preset is not None
    source = NameSource(preset_defaults(Defaults(Size(1, 1)), preset), "animagine")
    name = name_of("{preset}/{model}-{width}-{steps}-{guidance}-{sampler}", job_of(), source)
    wanted = f"{preset.size.width}-{preset.steps}-{preset.guidance:g}-Euler a"
    assert name == f"animagine-xl-3.1/animagine-{wanted}"


@pytest.mark.parametrize(
    ("template", "what", "more"),
    [
        ("{sed}", "unknown field 'sed'", "Did you mean {seed}?"),
        ("{}", "unknown field ''", "Fields: id, index"),
        ("{seed:05d}", "unknown field 'seed:05d'", "Did you mean {seed}?"),
        ("{id.__class__}", "unknown field 'id.__class__'", "Fields: id"),
        ("{date}", "unknown field 'date'", "must find its files again"),
        ("{id", "a brace without its partner", "Write {{ and }}"),
        ("id}", "a brace without its partner", "Write {{ and }}"),
        ("", "no safe file names", "it is empty"),
        ("contact-sheet", "no safe file names", "the contact sheet has that name"),
        ("x" * 201, "no safe file names", "at most 200"),
    ],
)
def test_templates_that_are_none(template: str, what: str, more: str) -> None:
    with pytest.raises(UsageError) as caught:
        NameTemplate.parse(template)
    assert what in caught.value.what and more in str(caught.value)


UP = ("..", ".", "...", ". .", ".. ", " ..", "~", "%2e%2e", "..;", "\u2025", "\uff0e\uff0e")
SLASH = ("/", "\\", "//", "\\\\", "/./", "\u2215", "\uff0f", "\x00/", ":")
TARGETS = ("etc/passwd", "C:\\Windows\\win.ini", "con", "NUL.txt", "x\x00.png")
TRAVERSALS = [
    *(f"{up}{slash}{target}" for up, slash, target in itertools.product(UP, SLASH, TARGETS)),
    *(f"a{slash}{up}{slash}{up}{slash}b" for up, slash in itertools.product(UP, SLASH)),
    *(f"{slash}{target}" for slash, target in itertools.product(SLASH, TARGETS)),
    "", ".", "..", "...", "C:", "C:x", "C:/x", "\\\\server\\share\\x", "//server/share",
    "file:///x", "\\\\?\\C:\\x", "aux", "COM1", "lpt9.png", "CONIN$", "com¹", "nul ", "nul .txt",
    " ", "a ", "a.", "-rf", "$HOME", "`id`", "a\nb", "a\rb", "\u202e", "\ud800", "x" * 1000,
    "緑" * 1000,
]  # fmt: skip


def check_safe(name: str) -> None:
    """The name lies below the folder, on every system, and each part can be written there."""
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert path.parts and not path.is_absolute() and not path.drive and not path.root
        assert list(path.parts) == name.split("/")
    for part in name.split("/"):
        assert id_fault(part) is None
        assert len(part.encode()) <= MAX_BYTES and part not in (".", "..")
        assert not set(part) & set('\\:*?"<>|\0') and part[-1] not in ". "


def test_there_are_many_traversals() -> None:
    assert len(set(TRAVERSALS)) >= 200


def test_no_traversal_leaves_the_folder() -> None:
    for text in TRAVERSALS:
        job = Job(text, Request(text, seed=0))
        for template in ("{id}", "{prompt}", "{id}/{id}", "a/{id}", "{id}.{prompt}", EVERY_FIELD):
            check_safe(name_of(template, job, NameSource(PLAIN.defaults, text)))


def test_no_traversal_in_a_template_leaves_the_folder() -> None:
    for text in TRAVERSALS:
        for template in (
            text,
            f"{text}/{{id}}",
            f"{{id}}/{text}",
            f"{{id}}{text}",
            f"{text}{{id}}",
        ):
            try:
                check_safe(name_of(template, job_of()))
            except UsageError:
                continue


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
@settings(max_examples=200)
def test_any_text_gives_a_safe_name(id_: str, prompt: str, template: str) -> None:
    job = Job(id_, Request(prompt, seed=0))
    check_safe(
        name_of(f"{EVERY_FIELD}/{{id}}/{{prompt}}{{id}}", job, NameSource(PLAIN.defaults, id_))
    )
    try:
        found = NameTemplate.parse(template)
    except UsageError:
        return
    check_safe(found.name(job, PLAIN))


@given(st.text(max_size=250))
def test_a_safe_id_is_its_own_name(text: str) -> None:
    safe = safe_part(text)
    assert id_fault(safe) is None and safe_part(safe) == safe
    if id_fault(text) is None:
        assert safe == text == name_of(DEFAULT, Job(text, Request("a")))


def jobs_of(*lines: str) -> list[Job]:
    return parse_jobs("\n".join(lines), "jobs.jsonl")


def test_names_come_in_the_order_of_jobs() -> None:
    jobs = jobs_of('{"prompt": "a", "id": "x"}', '{"prompt": "b", "seed": [1, 2]}')
    names = check_names(NameTemplate.parse("{index}/{id}"), jobs, PLAIN)
    assert names == ["00001/x", "00002/00002-0001", "00003/00002-0002"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("1girl", "1girl"),
        ("Asuka", "asuka"),
        ("caf\u00e9", "cafe\u0301"),
        ("a:b", "a/b"),
        ("ſ", "S"),
    ],
)
def test_two_pictures_of_one_name_are_refused(one: str, two: str) -> None:
    jobs = [
        Job("x", Request("q"), "jobs.jsonl", 1),
        Job("y", Request(one), "jobs.jsonl", 2),
        Job("z", Request(two), "jobs.jsonl", 7),
    ]
    with pytest.raises(UsageError) as caught:
        check_names(NameTemplate.parse("{prompt}"), jobs, PLAIN)
    assert caught.value.what.startswith("jobs.jsonl: lines 2 and 7 would become the same file")
    assert "the jobs are 'y' and 'z'" in caught.value.note


def test_two_pictures_of_no_file_are_named_by_their_ids() -> None:
    jobs = [Job("x", Request("a", seed=1)), Job("y", Request("a", seed=1))]
    with pytest.raises(UsageError, match="Two pictures would become the same file '1'"):
        check_names(NameTemplate.parse("{seed}"), jobs, PLAIN)


def test_a_name_with_a_seed_waits_for_the_seed() -> None:
    with pytest.raises(AssertionError, match="with_seed"):
        name_of("{seed}", Job("x", Request("a")))
