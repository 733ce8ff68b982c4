"""A detector's file by name."""

from pathlib import Path

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.detectors import DEMO_DETECTORS, find_detector


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_names_with_and_without_an_ending_and_in_any_case(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "faces/face_yolov8n.onnx", "face_yolov8s.onnx")
    for name in ("face_yolov8n", "face_yolov8n.pt", "Face_YOLOv8n.onnx ", "face_yolov8n.onnx"):
        assert find_detector(name, folder) == tmp_path / "faces" / "face_yolov8n.onnx"


def test_what_it_finds_is_a_name_too(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, "face_yolov8s.onnx", "face_yolov9c.onnx", "person_yolov8n-seg.onnx",
        "anime-hand-v2.onnx", "beforehand.onnx", "Eyes.onnx",
    )  # fmt: skip
    assert find_detector("face", folder).name == "face_yolov8s.onnx"
    assert find_detector("person", folder).name == "person_yolov8n-seg.onnx"
    assert find_detector("hand", folder).name == "anime-hand-v2.onnx"
    assert find_detector("eyes", folder).name == "Eyes.onnx"


def test_the_demo_model_has_its_own(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "face_yolov8n.onnx")
    assert find_detector("face", folder, DEMO_DETECTORS) == DEMO_DETECTORS["face"]
    assert find_detector("face", None, DEMO_DETECTORS).is_file()
    assert find_detector("face_yolov8n", folder, DEMO_DETECTORS).parent == tmp_path


def test_what_is_not_there_says_what_is_and_how_to_come_by_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "face_yolov8n.onnx", "hand_yolov8n.pt")
    with pytest.raises(UsageError) as error:
        find_detector("hand", folder)
    assert "face_yolov8n.onnx" in error.value.note and "hand_yolov8n.pt must" in error.value.note
    assert "yolo export model=hand_yolov8n.pt format=onnx" in error.value.hint
    assert "licence" in error.value.hint and str(folder) in error.value.hint
    with pytest.raises(UsageError) as error:
        find_detector("face", None)
    assert "There are none" in error.value.note


def test_a_name_for_two_files_is_asked_about(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a-ear.onnx", "b-ear.onnx")
    with pytest.raises(UsageError) as error:
        find_detector("ear", folder)
    assert "a-ear.onnx, b-ear.onnx" in error.value.note


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "*"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = folder_of(tmp_path / "in", "face_yolov8n.onnx")
    folder_of(tmp_path, "secret.onnx")
    with pytest.raises(UsageError):
        find_detector(name, folder)
