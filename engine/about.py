"""The verbs that look around: presets, doctor."""

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.command(short_help="Show what the models' cards recommend.")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def presets(name: str | None, as_json: bool) -> None:
    """List the presets, or show one: what a model's card recommends.

    Your own are TOML files in $SAKUGA_PRESETS, else in ~/.config/sakuga/presets, on Windows in
    %APPDATA%\\sakuga\\presets; one called like a shipped preset takes its place.
    """
    from sakuga.engine.preset_text import describe_preset, preset_table
    from sakuga.engine.presets import find_preset, known_presets

    chosen = list(known_presets().values()) if name is None else [find_preset(name)]
    if as_json:
        click.echo(json.dumps([asdict(preset) for preset in chosen], indent=1))
    else:
        click.echo(preset_table(chosen) if name is None else describe_preset(chosen[0]))


@click.command(short_help="Say what this machine has and what is used of it.")
@click.argument("bundles", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(bundles: tuple[Path, ...], as_json: bool) -> None:
    """Say what this machine has, and whether the plans of BUNDLES run here."""
    from sakuga.engine.doctor import examine

    findings = examine(bundles)
    if as_json:
        click.echo(json.dumps(findings, indent=1))
    else:
        for key, value in findings.items():
            click.echo(f"{key:16} {value}")
