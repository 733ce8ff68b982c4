"""Stage 5: the detector of faces, on compositions of painted pictures.

A face's box is learnt by generalised intersection over union (Rezatofighi et al. 2019,
arXiv:1902.09630), whether there is one by a focal loss (Lin et al. 2017, arXiv:1708.02002).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sakuga.export.demo.training.device import DEVICE
from sakuga.export.demo.training.face_data import Boxes, Painted, compose, painted
from sakuga.export.demo.training.face_network import FaceNetwork, places
from sakuga.export.demo.training.progress import Run, cosine

_NEAR, _AROUND = 1.0, 1.5  # of a face's middle, in strides: places that see it; that may
_SEEN, _BEYOND = (2.0, 7.0), 1.4  # strides that a face they see is long; a factor: that they may
_MIDDLES, _STRIDES = places()


@dataclass(frozen=True)
class FaceOptions:
    """`pictures` painted; `steps` of `batch` compositions; learning rate."""

    pictures: int = 300
    steps: int = 1000
    batch: int = 16
    rate: float = 4e-3
    seed: int = 6


@dataclass(frozen=True, eq=False)
class Targets:
    """For each place: 1 a face, 0 none, -1 either is right [1344]; and the box [1344, 4] of the
    face, also where either is right: a box that is found there must lie on the others."""

    faces: NDArray[np.float32]
    boxes: Boxes


def train_faces(folder: Path, options: FaceOptions) -> FaceNetwork:
    """The trained network; goes on from what `folder` holds."""
    torch.manual_seed(options.seed)
    run, network = Run(folder, "faces", options), FaceNetwork().to(DEVICE).train()
    optimizer = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=0.01)
    start = 0
    if state := run.load():
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    if start < options.steps:
        pictures = [painted(options.seed, number) for number in range(options.pictures)]
        for step in range(start, options.steps):
            _step(network, optimizer, pictures, step, options, run)
            if run.due() or step + 1 == options.steps:
                state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                run.save(state | {"step": step + 1})
    return network.eval().requires_grad_(False)


def _step(
    network: FaceNetwork,
    optimizer: torch.optim.Optimizer,
    pictures: list[Painted],
    step: int,
    options: FaceOptions,
    run: Run,
) -> None:
    generator = np.random.default_rng((options.seed, step, 3))
    batch = [compose(pictures, generator) for _ in range(options.batch)]
    targets = [targets_of(each.boxes) for each in batch]
    pixels = np.stack([each.pixels for each in batch]).transpose(0, 3, 1, 2)
    for group in optimizer.param_groups:
        group["lr"] = options.rate * cosine(step, options.steps)
    raw = network(torch.from_numpy(np.ascontiguousarray(pixels)).to(DEVICE).float() / 255)
    faces = torch.from_numpy(np.stack([each.faces for each in targets])).to(DEVICE)
    boxes = torch.from_numpy(np.stack([each.boxes for each in targets])).to(DEVICE)
    there = faces != 0
    placing = (1 - overlap(corners(raw)[there], boxes[there])).sum() / there.sum().clamp(min=1)
    finding = _focal(raw[:, 4], faces).sum() / (faces == 1).sum().clamp(min=1)
    loss = finding + 2 * placing
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    if step % 50 == 0:
        run.log({"step": step, "finding": finding.item(), "placing": placing.item()})


def targets_of(boxes: Boxes) -> Targets:
    """Which places see which face: those near its middle, at strides that fit its size."""
    faces = np.zeros(len(_MIDDLES), np.float32)
    chosen = np.zeros((len(_MIDDLES), 4), np.float32)
    for box in boxes[np.argsort([-(box[2:] - box[:2]).max() for box in boxes])]:
        length = (box[2:] - box[:2]).max() / _STRIDES
        away = np.abs(_MIDDLES - (box[:2] + box[2:]) / 2).max(axis=1) / _STRIDES
        fits = (length >= _SEEN[0]) & (length <= _SEEN[1])
        may = (length >= _SEEN[0] / _BEYOND) & (length <= _SEEN[1] * _BEYOND) & (away < _AROUND)
        there = fits & (away < _NEAR)
        faces[may & (faces == 0)] = -1
        faces[there] = 1
        chosen[there | (may & (faces == -1))] = box
    return Targets(faces, chosen)


def corners(raw: torch.Tensor) -> torch.Tensor:
    """Boxes [n, 1344, 4] in pixels from what the network gives, [n, 5, 1344]."""
    middles = torch.from_numpy(_MIDDLES).to(raw.device)
    strides = torch.from_numpy(_STRIDES).to(raw.device)
    away = (functional.softplus(raw[:, :4]) * strides).transpose(1, 2)
    return torch.cat([middles - away[..., :2], middles + away[..., 2:]], dim=-1)


def overlap(found: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Generalised intersection over union of boxes [n, 4] with boxes [n, 4]."""
    inner = torch.minimum(found[:, 2:], wanted[:, 2:]) - torch.maximum(found[:, :2], wanted[:, :2])
    outer = torch.maximum(found[:, 2:], wanted[:, 2:]) - torch.minimum(found[:, :2], wanted[:, :2])
    shared = inner.clamp(min=0).prod(dim=1)
    union = (found[:, 2:] - found[:, :2]).prod(1) + (wanted[:, 2:] - wanted[:, :2]).prod(1) - shared
    around = outer.prod(dim=1)
    return shared / union - (around - union) / around


def _focal(logits: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Of each place that counts; easy ones count little."""
    wanted = faces.clamp(min=0)
    plain = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    wrong = (wanted - logits.sigmoid()).abs()
    return plain * wrong.detach() ** 1.5 * (faces >= 0)
