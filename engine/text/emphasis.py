"""What weights do to the states of a text encoder.

Arrays are [texts, chunks, 77, hidden], weights [texts, chunks, 77].
"""

import numpy as np
from numpy.typing import NDArray

States = NDArray[np.float32]
Weights = NDArray[np.float32]


def scale(states: States, weights: Weights) -> States:
    """z · w: A1111's "No norm"."""
    scaled: States = states * weights[..., None]
    return scaled


def scale_and_restore_mean(states: States, weights: Weights, counts: NDArray[np.int64]) -> States:
    """z · w, then every chunk scaled to the mean it had: A1111's "Original".

    The mean runs over all texts a prompt becomes by editing, each as often as `counts` says, over
    all tokens, padding too, and all features of one encoder.
    Source: AUTOMATIC1111/stable-diffusion-webui, modules/sd_emphasis.py.
    """
    scaled = scale(states, weights)
    before, after = (counts @ each.mean((2, 3), np.float64) for each in (states, scaled))
    with np.errstate(divide="ignore", invalid="ignore"):  # found where the picture is checked
        ratio = (before / after).astype(np.float32)
    restored: States = scaled * ratio[:, None, None]
    return restored


def interpolate(states: States, weights: Weights, empty: States) -> States:
    """e + (z − e) · w with e the states of an empty prompt, [77, hidden]: ComfyUI's rule.

    Source: Comfy-Org/ComfyUI, comfy/sd1_clip.py.
    """
    scaled: States = (states - empty) * weights[..., None] + empty
    return np.where(weights[..., None] == 1, states, scaled)
