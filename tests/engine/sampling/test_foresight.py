"""What the network takes a picture for: exact where its noise is told exactly."""

import numpy as np
import pytest

from sakuga.engine.runtime.request import Defaults, Request
from sakuga.engine.runtime.resolve import resolve
from sakuga.engine.sampling.foresight import foresight
from sakuga.engine.sampling.noise_schedule import stable_diffusion_schedule
from sakuga.engine.sampling.table import Prediction
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_TINY


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("sampler", ["Euler a", "DDIM", "DPM++ 2M Karras", "Heun"])
@pytest.mark.parametrize("compat", ["a1111", "diffusers"])
def test_a_network_that_knows_the_noise_foresees_the_picture(
    prediction: Prediction, sampler: str, compat: str
) -> None:
    if compat == "diffusers" and sampler == "DPM++ 2M Karras":
        sampler = "DPM++ 2M"  # whose steps lie on trained timesteps
    request = Request("", sampler=sampler, steps=9, compat=compat)
    table = resolve(request, SDXL_TINY, Defaults(Size(256, 256)), prediction).table
    random = np.random.default_rng(0)
    picture, noise = random.standard_normal((2, 1000))
    for row in range(table.evaluations):
        sigma = float(stable_diffusion_schedule().sigma(np.array(table.timestep[row])))
        alpha = 1 / (1 + sigma**2)
        z = np.sqrt(alpha) * picture + np.sqrt(1 - alpha) * noise  # what the network is shown
        v = np.sqrt(alpha) * noise - np.sqrt(1 - alpha) * picture
        a, b = foresight(table, prediction, row)
        found = a * z / table.c_in[row] + b * (noise if prediction == "epsilon" else v)
        # Timesteps may be whole where sigmas are not, as in ComfyUI and diffusers.
        assert found == pytest.approx(picture, abs=0.02 * (1 + sigma))
