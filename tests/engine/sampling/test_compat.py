"""The tools whose pictures can be matched."""

import pytest

from sakuga.engine.errors import UsageError
from sakuga.engine.sampling.compat import COMPATS, find_compat


def test_every_compat_is_found_by_its_name() -> None:
    assert [find_compat(name).name for name in COMPATS] == ["a1111", "comfy", "diffusers"]
    with pytest.raises(UsageError, match="a1111, comfy, diffusers"):
        find_compat("invoke")
