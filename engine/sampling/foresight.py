"""What the network takes the finished picture for, while it is being made."""

from math import sqrt

import numpy as np

from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.table import Prediction, SamplerTable


def foresight(table: SamplerTable, prediction: Prediction, row: int) -> tuple[float, float]:
    """(a, b) of x₀ = a·x + b·ê at evaluation `row`, with x the latent and ê the guided output.

    From z = c_in·x = √ᾱ·x₀ + √(1 − ᾱ)·ε and v = √ᾱ·ε − √(1 − ᾱ)·x₀ (Salimans and Ho 2022).
    """
    c_in = float(table.c_in[row])
    if c_in < 1:  # x = x₀ + σ·ε, where c_in = 1/√(1 + σ²)
        sigma = sqrt(1 / c_in**2 - 1)
    else:
        sigma = float(stable_diffusion_schedule().sigma(np.array(table.timestep[row])))
    signal = 1 / sqrt(1 + sigma**2)  # √ᾱ
    if prediction == "epsilon":
        return c_in / signal, -sigma
    return c_in * signal, -sigma * signal
