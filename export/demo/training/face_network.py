"""The detector's network, described once for torch and for ONNX.

Three strides with a feature pyramid (Lin et al. 2017, arXiv:1612.03144), separable convolutions,
and at each place the distances to a face's four sides (Tian et al. 2019, arXiv:1904.01355).
"""

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from sakuga.export.demo.training.face_data import SIDE, STRIDES

WIDTHS = (8, 16, 24, 40, 64)  # after each halving
PYRAMID = 32


class Convolution(nn.Module):
    """Convolution, normalisation, SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """[n, inputs, h, w] to [n, outputs, h / stride, w / stride]."""
        out: torch.Tensor = functional.silu(self.norm(self.conv(values)))
        return out


class Operations(Protocol):
    """What the network is made of: torch's operations, or the nodes of a graph."""

    def convolution(self, layer: Convolution, values: Any) -> Any: ...  # noqa: ANN401
    def prediction(self, layer: nn.Conv2d, values: Any) -> Any: ...  # noqa: ANN401
    def add(self, one: Any, other: Any) -> Any: ...  # noqa: ANN401
    def doubled(self, values: Any) -> Any: ...  # noqa: ANN401


class FaceNetwork(nn.Module):
    """[n, 3, 256, 256] in [0, 1] to [n, 5, 1344]: four distances and a logit for each place."""

    def __init__(self) -> None:
        super().__init__()
        ins = (3, *WIDTHS[:-1])
        self.down = nn.ModuleList(
            Convolution(i, o, 3, 2, 1) for i, o in zip(ins, WIDTHS, strict=True)
        )
        self.deep = nn.ModuleList(
            _separable(width, times) for width, times in zip(WIDTHS[2:], (1, 1, 2), strict=True)
        )
        self.lateral = nn.ModuleList(Convolution(width, PYRAMID, 1, 1, 1) for width in WIDTHS[2:])
        self.smooth = nn.ModuleList(_separable(PYRAMID, 2) for _ in STRIDES)
        self.head = nn.ModuleList(nn.Conv2d(PYRAMID, 5, 1) for _ in STRIDES)
        for head in self.head:
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            nn.init.constant_(head.bias[:4], 2.0)
            nn.init.constant_(head.bias[4:], -5.0)  # faces are rare

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Of training; `levels` with another's operations is the same network."""
        return torch.cat(self.levels(TorchOperations(), pixels), dim=-1)

    def levels(self, make: Operations, values: Any) -> list[Any]:  # noqa: ANN401
        """Predictions [n, 5, h·w] of the strides 8, 16, 32."""
        features = []
        for at, down in enumerate(self.down):
            values = make.convolution(down, values)  # type: ignore[arg-type]
            if at >= 2:
                values = _chain(make, self.deep[at - 2], values)
                features.append(values)
        found: list[Any] = []
        above = None
        for level in reversed(range(len(STRIDES))):
            values = make.convolution(self.lateral[level], features[level])  # type: ignore[arg-type]
            if above is not None:
                values = make.add(values, make.doubled(above))
            above = _chain(make, self.smooth[level], values)
            found.insert(0, make.prediction(self.head[level], above))  # type: ignore[arg-type]
        return found


class TorchOperations:
    """The network as torch computes it."""

    def convolution(self, layer: Convolution, values: torch.Tensor) -> torch.Tensor:
        """The layer's own."""
        out: torch.Tensor = layer(values)
        return out

    def prediction(self, layer: nn.Conv2d, values: torch.Tensor) -> torch.Tensor:
        """[n, 5, h·w]."""
        out: torch.Tensor = layer(values)
        return out.flatten(2)

    def add(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Their sum."""
        return one + other

    def doubled(self, values: torch.Tensor) -> torch.Tensor:
        """Twice the height and width, each value four times."""
        return functional.interpolate(values, scale_factor=2.0, mode="nearest")


def places() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middles [1344, 2] (across, down) and strides [1344] of all places, in pixels."""
    middles, strides = [], []
    for stride in STRIDES:
        steps = (np.arange(SIDE // stride, dtype=np.float32) + 0.5) * stride
        across, down = np.meshgrid(steps, steps)
        middles.append(np.stack([across.ravel(), down.ravel()], axis=1))
        strides.append(np.full(across.size, stride, np.float32))
    return np.concatenate(middles), np.concatenate(strides)


def _separable(width: int, times: int) -> nn.ModuleList:
    layers = [
        layer
        for _ in range(times)
        for layer in (Convolution(width, width, 3, 1, width), Convolution(width, width, 1, 1, 1))
    ]
    return nn.ModuleList(layers)


def _chain(make: Operations, layers: nn.Module, values: Any) -> Any:  # noqa: ANN401
    assert isinstance(layers, nn.ModuleList)
    for layer in layers:
        values = make.convolution(layer, values)  # type: ignore[arg-type]
    return values
