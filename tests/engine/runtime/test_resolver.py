"""Requests made complete, and the quick look at many of them."""

import pytest

from sakuga.engine.engine import Engine
from sakuga.engine.errors import SizeError, UsageError
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size


def test_the_quick_look_sees_all_but_prompts_and_seeds(sdxl_engine: Engine) -> None:
    for request in (
        Request("a", seed=1),
        Request("b", width=128, height=160, steps=3, sampler="DPM++ 2M Karras", seed=2),
        Request("c", seed_resize=Size(64, 64), guidance_interval=(0.2, 0.8)),
    ):
        assert sdxl_engine.size_of(request) == sdxl_engine.resolve(request).size
    with pytest.raises(SizeError):
        sdxl_engine.size_of(Request("a", width=129))
    with pytest.raises(UsageError, match="Oiler"):
        sdxl_engine.size_of(Request("a", sampler="Oiler"))
    endless = Request("tag, " * 500)
    assert sdxl_engine.size_of(endless) == sdxl_engine.size_of(Request("a"))
    with pytest.raises(UsageError):
        sdxl_engine.resolve(endless)
