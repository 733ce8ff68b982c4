"""Detectors from ONNX files: boxes and outlines in the picture, and files that are none."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from yolo_files import FACE, any_file, yolo_file

from sakuga.engine.errors import FileFormatError, UsageError
from sakuga.engine.refine.detector import Detector

# Middle, sides, scores of face and hand; in an input of 64 by 64.
COLUMNS = [[32, 32, 16, 16, 0.9, 0.0], [33, 32, 16, 16, 0.8, 0.0], [16, 40, 8, 8, 0.1, 0.6],
           [48, 40, 8, 8, 0.2, 0.1]]  # fmt: skip
PLACES = np.array(COLUMNS, np.float32).T[None]
WIDE = np.zeros((64, 128, 3), np.uint8)


def test_boxes_in_the_picture_s_pixels(tmp_path: Path) -> None:
    """The picture lies in the middle of the input, at half its size."""
    detector = Detector(yolo_file(tmp_path / "face.onnx", PLACES))
    face, hand = detector(WIDE)
    assert (face.name, face.box, face.mask) == ("face", (48, 16, 80, 48), None)
    assert (hand.name, hand.box) == ("hand", (24, 40, 40, 56))
    assert face.confidence == pytest.approx(0.9) and hand.confidence == pytest.approx(0.6)


def test_classes_by_name(tmp_path: Path) -> None:
    detector = Detector(yolo_file(tmp_path / "face.onnx", PLACES))
    assert detector.classes == ("face", "hand")
    assert [each.name for each in detector(WIDE, classes=("Hand",))] == ["hand"]
    assert [each.name for each in detector(WIDE, exclude=("hand", "face"))] == []
    assert len(detector(WIDE, confidence=0.15)) == 3
    with pytest.raises(UsageError) as error:
        detector(WIDE, classes=("foot",))
    assert "face, hand" in error.value.note


def test_outlines_follow_the_picture_inside_the_box(tmp_path: Path) -> None:
    """A bright disc and a bright corner: the box holds the disc alone."""
    across, down = np.meshgrid(np.arange(128), np.arange(96))
    disc = (across - 64) ** 2 + (down - 48) ** 2 < 20**2
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[disc] = 255
    picture[:20, :20] = 255
    places = np.array([[32, 32, 24, 24, 0.9, 1.0]], np.float32).T[None]
    properties = {**FACE, "names": "['face']", "task": "segment"}
    file = yolo_file(tmp_path / "s.onnx", places, properties=properties, outlined=True)
    (face,) = Detector(file)(picture)
    assert face.box == (40, 24, 88, 72)
    assert face.mask is not None and face.mask.shape == (96, 128)
    assert set(np.unique(face.mask)) == {0, 255}
    inside = face.mask == 255
    assert (inside & disc).sum() / (inside | disc).sum() > 0.85
    assert not inside[:24].any() and not inside[:, :40].any()


def test_an_open_input_gets_no_more_than_it_needs(tmp_path: Path) -> None:
    """A picture twice as wide as high takes 32 by 64 of an input trained at 64."""
    places = np.array([[32, 16, 16, 16, 0.9, 0.0]], np.float32).T[None]
    detector = Detector(yolo_file(tmp_path / "open.onnx", places, sides=("h", "w")))
    assert detector(WIDE)[0].box == (48, 16, 80, 48)
    outlined = {**FACE, "names": "['face']", "task": "segment"}
    places = np.array([[32, 16, 64, 32, 0.9, 1.0]], np.float32).T[None]
    file = yolo_file(tmp_path / "seg.onnx", places, ("h", "w"), outlined, outlined=True)
    (whole,) = Detector(file)(WIDE + 255)
    assert whole.mask is not None and (whole.mask == 255).all()


def test_end_to_end_and_half_precision(tmp_path: Path) -> None:
    rows = np.array([[[24, 24, 40, 40, 0.9, 1], [0, 0, 8, 8, 0.2, 0]]], np.float32)
    detector = Detector(yolo_file(tmp_path / "e.onnx", rows, dtype=np.float16))
    (hand,) = detector(WIDE)
    assert (hand.name, hand.box) == ("hand", (48, 16, 80, 48))


def test_boxes_beside_the_picture_are_none(tmp_path: Path) -> None:
    """In the grey above the picture."""
    places = np.array([[32, 6, 16, 8, 0.9, 0.0]], np.float32).T[None]
    assert Detector(yolo_file(tmp_path / "face.onnx", places))(WIDE) == []


def test_the_licence_of_the_weights_is_told(tmp_path: Path) -> None:
    said = {**FACE, "license": "AGPL-3.0 License", "author": "Ultralytics"}
    detector = Detector(yolo_file(tmp_path / "said.onnx", PLACES, properties=said))
    assert (detector.license, detector.author) == ("AGPL-3.0 License", "Ultralytics")
    assert detector.license_note == (
        "The detector said.onnx, by Ultralytics, is under AGPL-3.0 License."
    )
    silent = Detector(yolo_file(tmp_path / "silent.onnx", PLACES))
    assert "silent.onnx does not say" in silent.license_note


def test_files_that_are_no_detectors(tmp_path: Path) -> None:
    whole = yolo_file(tmp_path / "whole.onnx", PLACES).read_bytes()
    wrong = {
        "empty.onnx": b"",
        "cut.onnx": whole[: len(whole) // 2],
        "words.onnx": b"not a network at all",
        "pickle.onnx": b"PK\x03\x04" + bytes(200),
    }
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
    files = [tmp_path / name for name in wrong] + [
        tmp_path / "missing.onnx",
        any_file(tmp_path / "double.onnx", [1, 3, 64, 64], onnx.TensorProto.DOUBLE),
        any_file(tmp_path / "flat.onnx", [1, 1000]),
        any_file(tmp_path / "grey.onnx", [1, 1, 64, 64]),
        any_file(tmp_path / "four.onnx", [4, 3, 64, 64]),
        any_file(tmp_path / "two.onnx", [1, 3, 64, 64], inputs=2),
        any_file(tmp_path / "upscaler.onnx", [1, 3, 64, 64]),
        yolo_file(tmp_path / "v5.onnx", np.zeros((1, 252, 7), np.float32)),
        yolo_file(tmp_path / "pose.onnx", PLACES, properties={**FACE, "task": "pose"}),
    ]
    for file in files:
        with pytest.raises(FileFormatError) as error:
            Detector(file)
        assert file.name in error.value.what and error.value.hint, file
