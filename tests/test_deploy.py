"""What stands in deploy/ speaks of things that exist."""

import json
import re
from pathlib import Path

import click

from sakuga.engine.runtime.admission import Limits
from sakuga.engine.serve.command import serve
from sakuga.engine.serve.metrics import Meters
from sakuga.engine.serve.served import Served

DEPLOY = Path(__file__).parents[1] / "deploy"


def options() -> set[str]:
    return {
        each for param in serve.params if isinstance(param, click.Option) for each in param.opts
    }


def test_the_unit_and_the_image_start_the_server_with_options_it_has() -> None:
    for name in ("Dockerfile", "sakuga.service"):
        text = (DEPLOY / name).read_text()
        line = next(line for line in text.splitlines() if "serve" in line and "--host" in line)
        assert set(re.findall(r"--[a-z-]+", line)) <= options(), name
        assert "--token" in line and "0.0.0.0" in line


def test_the_dashboard_shows_metrics_that_are_there() -> None:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"sakuga_[a-z0-9_]+", target["expr"])
    }
    meters = Meters(Served([], Limits()))
    families = {family.name for family in meters.registry.collect()}
    suffixes = ("_total", "_bucket", "_sum", "_count", "")
    known = {f"{name}{suffix}" for name in families for suffix in suffixes}
    assert asked and asked <= known
