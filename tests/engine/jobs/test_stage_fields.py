"""What a job says of the picture it begins from and of its stages: as objects and in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.image.source import Source
from sakuga.engine.jobs.jobfile import parse_jobs
from sakuga.engine.refine.detail import Detail
from sakuga.engine.refine.fill import Fill
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Upscale
from sakuga.profiles.buckets import Size


def requests(**line: Any) -> list[Request]:  # noqa: ANN401 (a field's)
    return [job.request for job in parse_jobs(json.dumps({"prompt": "a"} | line), "jobs/a.jsonl")]


def only(**line: Any) -> Request:  # noqa: ANN401 (a field's)
    (found,) = requests(**line)
    return found


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2", Hires(2)),
        ("1.5:dat_x2:0.45", Hires(1.5, upscaler="dat_x2", strength=0.45)),
        ("1216x1792::0.6:20", Hires(size=Size(1216, 1792), strength=0.6, steps=20)),
        (":lanczos", Hires(upscaler="lanczos")),
        ("upscaler=lanczos,steps=5", Hires(upscaler="lanczos", steps=5)),
        (
            "1.5:latent:0.6:guidance=6, sampler=DPM++ 2M,schedule=Karras,prompt=a, (b:1.2)",
            Hires(
                *(1.5, None, "latent", 0.6, None),
                *(6, "DPM++ 2M", "Karras", "a, (b:1.2)"),
            ),
        ),
        ({}, Hires()),
        ({"size": "128x192", "strength": None}, Hires(size=Size(128, 192))),
    ],
)
def test_a_hires_pass(said: object, meant: Hires) -> None:
    assert only(hires=said).stages == (meant,)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("face", [Detail()]),
        ("hand_yolov8n:0.5", [Detail("hand_yolov8n", strength=0.5)]),
        (":0.5", [Detail(strength=0.5)]),
        (
            "face:strength=0.5,prompt=blue eyes, smile, steps=20",
            [Detail(strength=0.5, prompt="blue eyes, smile", steps=20)],
        ),
        (
            "face:prompt=a [SEP] b:c,classes=a, b",
            [Detail(prompt="a [SEP] b:c", classes=("a", "b"))],
        ),
        ({"model": "face", "exclude": ["x", "y"]}, [Detail(exclude=("x", "y"))]),
        (["face", {"model": "hand"}], [Detail(), Detail("hand")]),
        ([], []),
    ],
)
def test_passes_of_the_detailer(said: object, meant: list[Detail]) -> None:
    assert only(detail=said).stages == tuple(meant)


def test_stages_come_in_the_order_of_a1111() -> None:
    found = only(upscale="dat_x2:2", detail="face", hires="1.5").stages
    assert found == (Hires(1.5), Detail(), Upscale("dat_x2", 2))


def test_lists_are_axes_and_of_the_detailer_lists_of_lists() -> None:
    found = requests(hires=["1.5", {"scale": 2}], detail=[[], ["face", "hand"]])
    assert [request.stages for request in found] == [
        (Hires(1.5),),
        (Hires(1.5), Detail(), Detail("hand")),
        (Hires(2),),
        (Hires(2), Detail(), Detail("hand")),
    ]
    strengths = requests(init="a.png", strength=[0.25, 0.5])
    assert [request.init and request.init.strength for request in strengths] == [0.25, 0.5]


def test_a_picture_to_begin_from_lies_beside_the_job_file() -> None:
    init = only(
        init="in/a.png", mask="m.png", denoise=0.5, resize="crop", mask_blur=2, mask_invert=True,
        mask_fill="noise", mask_area="masked", mask_padding=8, mask_soft=True,
    ).init  # fmt: skip
    mask = Mask(Source(Path("jobs/m.png")), 2, True, Fill.NOISE, "masked", 8, True)
    assert init == Init(Source(Path("jobs/in/a.png")), 0.5, "crop", mask)
    absolute = only(init="/a.png").init
    assert absolute is not None and absolute.picture.origin == Path("/a.png")


def test_defaults_are_filled_in() -> None:
    text = '{"defaults": {"init": "a.png", "hires": "2"}}\n{"prompt": "a", "mask": "m.png"}'
    (job,) = parse_jobs(text, "a.jsonl")
    assert job.request.init and job.request.init.mask and job.request.stages == (Hires(2),)


def test_tables_and_lines_of_options_say_the_same() -> None:
    table = 'prompt,init,hires,detail\na,x.png,1.5:lanczos,"[""face"", ""hand""]"'
    (job,) = parse_jobs(table, "a.csv")
    assert job.request.stages == (Hires(1.5, upscaler="lanczos"), Detail(), Detail("hand"))
    (line,) = parse_jobs(
        '--prompt "a" --init x.png --detail "face:0.5" --mask-area whole --mask m.png', "a.txt"
    )
    assert line.request.init and line.request.init.picture == Source(Path("x.png"))
    assert line.request.stages == (Detail(strength=0.5),)


@pytest.mark.parametrize(
    ("line", "what", "rest"),
    [
        ({"hires": "15:latent"}, "'scale' must be a number from 1 to 8", '"1.5:dat_x2:0.45"'),
        ({"hires": "dat_x2:2"}, "must be a hires pass", '"dat_x2:2"'),
        ({"hires": "2:latent:0.5:20:1"}, "must be a hires pass", "it has 5 values between colons"),
        ({"hires": "2:scale=2"}, "must be a hires pass", "scale is given twice"),
        ({"hires": {"scale": 2, "size": "8x8"}}, "a scale or a size", "Leave out one"),
        ({"hires": {"upscalr": "a"}}, "there is no 'upscalr' in it", "Did you mean 'upscaler'?"),
        ({"hires": "2:sampler=Eulr"}, "no sampler called 'Eulr'", "Did you mean 'Euler'?"),
        ({"detail": "face:promt=a"}, "there is no 'promt' in it", "Did you mean 'prompt'?"),
        ({"detail": "face:prompt=a,stength=0.5"}, "there is no 'stength'", "'strength'?"),
        ({"detail": [["face"], "hand"]}, "is a list of lists and of others", ""),
        ({"detail": ["face"] * 16}, "must be a pass of the detailer", "at most 15"),
        ({"detail": {"width": 64}}, "needs width and height", ""),
        ({"upscale": {"scale": 2}}, "'upscaler' is missing", '"dat_x2"'),
        ({"init": "https://a/b.png"}, "must be the path of a picture", "nothing is fetched"),
        ({"init": "a\0"}, "must be the path of a picture", "a NUL"),
        ({"init": "a.png", "strength": 2}, "must be a number from 0 to 1", ""),
        ({"strength": 0.5}, "field 'strength' needs a picture to begin from", "field 'init'"),
        ({"strength": 0.5, "hires": "2"}, "field 'strength' needs a picture", "1.5:latent:0.6"),
        ({"init": "a.png", "mask_blur": 2}, "field 'mask_blur' needs a mask", "field 'mask'"),
        ({"ini": "a.png"}, "there is no field 'ini'", "Did you mean 'init'?"),
    ],
    ids=str,
)  # fmt: skip
def test_errors_name_line_and_field(line: dict[str, Any], what: str, rest: str) -> None:
    text = '{"prompt": "a"}\n' + json.dumps({"prompt": "a"} | line)
    with pytest.raises(UsageError) as caught:
        parse_jobs(text, "a.jsonl")
    assert caught.value.what.startswith("a.jsonl, line 2: ") and what in caught.value.what
    assert any(f"field {name!r}" in caught.value.what for name in line)
    assert rest in f"{caught.value.note} {caught.value.hint}"
