"""What must be the same on every machine, and the engine of the one that renders nothing."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import RenderError, SakugaError, SizeError, UsageError
from sakuga.engine.jobs.cluster.elsewhere import DeviceElsewhere, engine_elsewhere
from sakuga.engine.jobs.cluster.node import bundle_here, open_here, survey
from sakuga.engine.jobs.cluster.order import Alike, EngineOptions, Order, alike_here
from sakuga.engine.jobs.cluster.outcome import Broken, own_error
from sakuga.engine.presets import find_preset
from sakuga.engine.runtime.request import Request
from sakuga.profiles.buckets import Size, SizeList

PRESET = find_preset("animagine-xl-3.1")
HERE = Alike("1.0", PRESET, (("blurry", "0123"),))
ASKED = Request("1girl", seed=7, width=128, height=160, steps=3)


@pytest.fixture
def order(sdxl_bundle: Bundle) -> Order:
    options = EngineOptions(backend="onnx", threads=1)
    alike = alike_here(sdxl_bundle, options)
    return Order(sdxl_bundle.path, sdxl_bundle.manifest.to_json(), "", options, alike)


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (HERE, []),
        (replace(HERE, version="2.0"), ["Sakuga: 1.0 here, 2.0 there"]),
        (replace(HERE, preset=None), ["preset: animagine-xl-3.1 here, none there"]),
        (
            replace(HERE, preset=replace(PRESET, steps=99)),
            ["preset: animagine-xl-3.1 says something else there"],
        ),
        (replace(HERE, embeddings=()), ["embeddings: blurry here, none there"]),
        (
            replace(HERE, embeddings=(("blurry", "4567"),)),
            ["embeddings: files of the same names hold something else there"],
        ),
    ],
)
def test_what_is_not_the_same_is_named(there: Alike, told: list[str]) -> None:
    assert HERE.differences(there) == told


def test_a_machine_that_would_render_something_else_is_refused(order: Order) -> None:
    assert bundle_here(order).path == order.bundle
    old = replace(order, alike=replace(order.alike, version="0.1"))
    with pytest.raises(UsageError, match="would render other pictures"):
        bundle_here(old)
    told = survey(old)
    assert isinstance(told, Broken) and "Sakuga: 0.1 here" in told.error.note


def test_machines_that_compute_otherwise_are_refused(order: Order) -> None:
    device = survey(order)
    assert isinstance(device, DeviceElsewhere)
    with open_here(order.computing(device.name)) as engine:
        assert engine.backend == device.name
    with pytest.raises(UsageError, match="do not all compute alike"):
        open_here(order.computing("rtx 1.7 on something else"))


def test_the_engine_that_renders_nothing_checks_as_the_others_do(
    order: Order, sdxl_engine: Engine
) -> None:
    device = survey(order)
    assert isinstance(device, DeviceElsewhere)
    with engine_elsewhere(order, device) as engine:
        assert repr(engine.resolve(ASKED)) == repr(sdxl_engine.resolve(ASKED))  # holds arrays
        assert engine.backend == sdxl_engine.backend
        assert engine.appetite == sdxl_engine.appetite
        with pytest.raises(SakugaError, match="renders nothing"):
            engine.render(ASKED)


def test_it_knows_the_sizes_of_devices_that_have_their_own(order: Order) -> None:
    device = DeviceElsewhere("rtx", SizeList((Size(128, 128),)), "", slots=4, rows=8)
    with engine_elsewhere(order, device) as engine:
        assert engine.appetite > 4
        with pytest.raises(SizeError, match="128x160"):
            engine.resolve(ASKED)


def test_errors_arrive_as_they_were_sent() -> None:
    sent = RenderError("what", note="note", hint="hint")
    came = pickle.loads(pickle.dumps(sent))
    assert type(came) is RenderError and str(came) == str(sent)


def test_whose_an_error_is() -> None:
    own = SizeError("too large")
    assert own_error(own) is own
    assert str(own_error(ValueError("no such thing"))) == "ValueError: no such thing"
    assert own_error(SakugaError("closed")) is None
    assert own_error(FileNotFoundError(Path("gone"))) is None
