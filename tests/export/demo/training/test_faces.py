"""The detector's training: compositions, targets, and the same network in torch and in ONNX."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sakuga.engine.refine.detector import Detector
from sakuga.engine.refine.yolo_network import OnnxYoloNetwork
from sakuga.export.demo.training.face_data import SIDE, compose, painted
from sakuga.export.demo.training.face_network import FaceNetwork, places
from sakuga.export.demo.training.face_onnx import write_detector
from sakuga.export.demo.training.faces import corners, overlap, targets_of

torch.set_num_threads(1)


def test_compositions_show_the_faces_they_tell() -> None:
    pictures = [painted(6, number) for number in range(4)]
    counts = set[int]()
    for seed in range(60):
        made = compose(pictures, np.random.default_rng(seed))
        counts.add(len(made.boxes))
        assert made.pixels.shape == (SIDE, SIDE, 3)
        assert (made.boxes >= 0).all() and (made.boxes <= SIDE).all()
        assert (made.boxes[:, 2:] - made.boxes[:, :2] > 8).all()
    assert counts == {0, 1, 2, 3, 4}


def test_places_that_see_a_face_lie_near_its_middle() -> None:
    boxes = np.array([[20, 30, 60, 70], [100, 100, 230, 220]], np.float32)
    targets = targets_of(boxes)
    middles, _ = places()
    for box in boxes:
        seen = (targets.boxes == box).all(axis=1) & (targets.faces == 1)
        assert 2 <= seen.sum() <= 24
        assert (np.abs(middles[seen] - (box[:2] + box[2:]) / 2) < 32).all()
    assert (targets_of(boxes[:0]).faces == 0).all()


def test_overlap_is_one_for_the_same_box_and_falls_below_zero_far_away() -> None:
    one = torch.tensor([[0.0, 0, 10, 10]])
    assert overlap(one, one).item() == 1
    assert overlap(one, one + 5).item() == pytest.approx(25 / 175 - 50 / 225)
    assert overlap(one, one + 100).item() < -0.9


def test_the_file_computes_what_the_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = FaceNetwork()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training, none is neutral
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    write_detector(network.eval().requires_grad_(False), tmp_path / "face.onnx")
    pixels = np.random.default_rng(0).random((1, 3, SIDE, SIDE), np.float32)
    (found,) = OnnxYoloNetwork(tmp_path / "face.onnx").run(pixels)
    raw = network(torch.from_numpy(pixels))
    box = corners(raw)[0].numpy()
    wanted = np.stack([*(box[:, :2] + box[:, 2:]).T / 2, *(box[:, 2:] - box[:, :2]).T])
    np.testing.assert_allclose(found[0, :4], wanted, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found[0, 4], raw[0, 4].sigmoid(), rtol=1e-3, atol=1e-6)
    detector = Detector(tmp_path / "face.onnx")
    assert (detector.classes, detector.license) == (("face",), "Apache-2.0")
