"""What detectors' files say of themselves, well and badly."""

import pytest

from sakuga.engine.errors import FileFormatError
from sakuga.engine.refine.yolo_card import YoloCard, read_card
from sakuga.profiles.buckets import Size

# The properties that Ultralytics 8.3 writes, as its exporter's source lists them.
ULTRALYTICS = {
    "description": "Ultralytics YOLOv8n model trained on data.yaml",
    "author": "Ultralytics",
    "license": "AGPL-3.0 License (https://ultralytics.com/license)",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": "[640, 480]",
    "names": "{0: 'face', 1: 'hand'}",
}


def test_an_export_of_ultralytics() -> None:
    assert read_card(ULTRALYTICS, "x.onnx") == YoloCard(
        names=("face", "hand"),
        size=Size(480, 640),
        stride=32,
        license="AGPL-3.0 License (https://ultralytics.com/license)",
        author="Ultralytics",
    )


def test_a_file_that_says_nothing() -> None:
    assert read_card({}, "x.onnx") == YoloCard(None, Size(640, 640), 32, "", "")


def test_names_as_a_list_and_in_any_order() -> None:
    assert read_card({"names": "['a', 'b']"}, "x.onnx").names == ("a", "b")
    assert read_card({"names": "{1: 'b', 0: 'a'}"}, "x.onnx").names == ("a", "b")


@pytest.mark.parametrize(
    "properties",
    [
        {"task": "pose"},
        {"names": "{0: 'a', 2: 'b'}"},
        {"names": "{}"},
        {"names": "__import__('os').abort()"},
        {"names": "[" * 100_000},
        {"names": "'" + "a" * 300_000 + "'"},
        {"imgsz": "[0, 640]"},
        {"imgsz": "'large'"},
        {"imgsz": "[640, 640, 3]"},
        {"stride": "0"},
        {"stride": "[8, 16]"},
    ],
    ids=lambda properties: str(properties)[:40],
)
def test_what_cannot_be_read_is_refused(properties: dict[str, str]) -> None:
    with pytest.raises(FileFormatError) as error:
        read_card(properties, "odd.onnx")
    assert "odd.onnx" in error.value.what and error.value.hint


def test_no_text_of_a_file_moves_the_cursor() -> None:
    card = read_card({"license": "free\x1b[2J\n  as   air" + "!" * 999, "author": "\x07"}, "x.onnx")
    assert card.license.startswith("free [2J as air!") and len(card.license) <= 200
    assert card.author == ""
