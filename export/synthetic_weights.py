"""Random weights with which activations stay sane through every network.

Matrices keep the variance of what goes in (standard deviation gain / sqrt(fan in)); the gains
below depart from 1 where a network of random weights would otherwise blow up, go flat or stop
listening to its prompt.
"""

import hashlib
import math
import re

import numpy as np
from numpy.typing import NDArray

from sakuga.profiles.weights import Shape

Float32 = NDArray[np.float32]

_NORM = re.compile(r"norm\w*\.weight$")
_BIAS = 0.05
_NORM_SPREAD = 0.1

# The first pattern that matches "component/name" gives the gain.
_GAINS: tuple[tuple[str, float], ...] = (
    # Logits of attention with a spread of about 2: neither flat nor one-hot.
    (r"(to_q|to_k|q_proj|k_proj)\.weight$", 1.5),
    # Averaging over many tokens shrinks what cross-attention says; without this prompts vanish.
    (r"attn2\.to_out\.0\.weight$", 2.0),
    # The last layer of each residual branch adds less than what is already there.
    (r"(to_out\.0|out_proj|fc2|net\.2|proj_out|resnets\.\d+\.conv2)\.weight$", 0.5),
    # Behind a norm and SiLU, which leaves 0.6 of the spread: a prediction of about 1 ...
    (r"^unet/conv_out\.weight$", 1.7),
    # ... and a picture with contrast that seldom leaves [-1, 1].
    (r"^vae/decoder\.conv_out\.weight$", 0.6),
)

_EMBEDDINGS = {"token_embedding.weight": 1.0, "position_embedding.weight": 0.5}


def draw(seed: int, component: str, name: str, shape: Shape) -> Float32:
    """One tensor: a function of its arguments alone, so every layout holds the same weights."""
    key = hashlib.sha256(f"{seed}/{component}/{name}".encode()).digest()
    generator = np.random.Generator(np.random.SFC64(int.from_bytes(key[:16], "little")))
    array = generator.standard_normal(shape, np.float32)
    array *= np.float32(deviation(component, name, shape))
    if _NORM.search(name):
        array += np.float32(1)
    return array


def deviation(component: str, name: str, shape: Shape) -> float:
    """Standard deviation of a tensor; its mean is 1 for the scale of a norm, else 0."""
    if _NORM.search(name):
        return _NORM_SPREAD
    if name.endswith(".bias"):
        return _BIAS
    for ending, spread in _EMBEDDINGS.items():
        if name.endswith(ending):
            return spread
    full = f"{component}/{name}"
    gain = next((gain for pattern, gain in _GAINS if re.search(pattern, full)), 1.0)
    return gain / math.sqrt(math.prod(shape[1:]))
