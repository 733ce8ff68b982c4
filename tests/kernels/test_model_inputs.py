import numpy as np
import pytest

from sakuga.kernels.model_inputs import model_inputs
from sakuga.kernels.philox import normals


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_every_row_is_the_scaled_latent_rounded_once(precision: type[np.floating]) -> None:
    latent = normals(42, 0, 4 * 3 * 5).reshape(4, 3, 5)
    rows = np.empty((3, 4, 3, 5), precision)
    model_inputs(latent, 0.0682, rows)
    for row in rows:
        assert np.array_equal(row, (latent * np.float32(0.0682)).astype(precision))


def test_there_may_be_no_row() -> None:
    model_inputs(np.zeros((4, 3, 5), np.float32), 1.0, [])
