"""Options of the command line for a picture to begin from and stages behind the first pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from sakuga.engine.errors import UsageError

_GIVEN = "sakuga.stages"  # the place of their values in a context
F = TypeVar("F", bound=Callable[..., Any])


class _Words(click.ParamType[Any]):
    """A stage in the words of a job file's field."""

    def __init__(self, field: str, name: str) -> None:
        self._field, self.name = field, name

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # noqa: ANN401 (the stage's own type)
        from sakuga.engine.jobs.stage_fields import STAGES

        kind = STAGES[self._field]
        try:
            return kind.read(kind.from_text(str(value)))
        except UsageError as error:
            self.fail(" ".join(filter(None, (error.what, error.note, error.hint))), param, ctx)
        except ValueError as error:
            reason = f": {error}" if error.args else ""
            self.fail(f"{value!r} is not {kind.description}{reason}.", param, ctx)


class _Picture(click.ParamType[Any]):
    """A picture file that is there, as a `Source`."""

    name = "FILE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:  # noqa: ANN401 (its module is loaded where it is needed)
        from sakuga.engine.image.source import Source

        path = Path(str(value))
        if not path.is_file():
            self.fail(f"there is no file {path}.", param, ctx)
        return Source.of(path)


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Beside the others: a verb takes all of them as one."""
    if value not in (None, (), False):
        context.meta.setdefault(_GIVEN, {})[parameter.name] = value


def _option(name: str, type: Any = None, **how: Any) -> Callable[[F], F]:  # noqa: ANN401
    return click.option(name, type=type, expose_value=False, callback=_keep, **how)


_PICTURE = _Picture()
_SHARE, _PIXELS = click.FloatRange(0, 1), click.IntRange(0, 4096)
_OPTIONS = [
    _option("--init", _PICTURE, help="Picture to begin from."),
    _option("--strength", _SHARE, help="How far it is made anew, 0 to 1 [default: 0.75]."),
    _option(
        "--resize",
        click.Choice(["stretch", "crop", "fill", "latent"]),
        help="How it comes to the size rendered [default: stretch].",
    ),
    _option("--mask", _PICTURE, help="Picture, white where that one is painted anew."),
    _option(
        "--mask-blur",
        click.FloatRange(0, 256),
        help="Of its edge, in pixels [default: 4 in a1111].",
    ),
    _option("--mask-invert", is_flag=True, help="Paint anew what is black in it."),
    _option(
        "--mask-fill",
        click.Choice(["original", "fill", "noise", "nothing"]),
        help="What lies there before [default: original].",
    ),
    _option(
        "--mask-area",
        click.Choice(["whole", "masked"]),
        help="Work on the whole picture, or on the masked part at the full size [default: whole].",
    ),
    _option("--mask-padding", _PIXELS, help="Pixels around a masked part [default: 32]."),
    _option("--mask-soft", is_flag=True, help="Keep the grey of a mask in the latent."),
    _option(
        "--hires",
        _Words("hires", "SCALE|WxH[:UPSCALER[:STRENGTH[:STEPS]]]"),
        help="A second, larger pass, such as 1.5:dat_x2:0.45 or 2:latent:0.6:20:guidance=6.",
    ),
    _option("--hires-prompt", help="Prompt of that pass [default: the first one's]."),
    _option("--hires-negative", help="Its negative prompt [default: the first one's]."),
    _option(
        "--detail",
        _Words("detail", "DETECTOR[:STRENGTH]"),
        multiple=True,
        help="Find and paint anew, such as face, or face:0.5:prompt=blue eyes; may be repeated.",
    ),
    _option(
        "--upscale",
        _Words("upscale", "UPSCALER[:SCALE]"),
        help="Enlarge the finished picture, such as dat_x2:2.",
    ),
]


def stage_options(command: F) -> F:
    """Adds the options to a verb, which reads them with `stages_given`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def stages_given(context: click.Context) -> dict[str, Any]:
    """What was given, as `with_stages` takes it. Raises UsageError for prompts of no hires pass."""
    from dataclasses import replace

    given: dict[str, Any] = dict(context.meta.get(_GIVEN, {}))
    prompts = {"hires_prompt": "prompt", "hires_negative": "negative_prompt"}
    said = {field: given.pop(name) for name, field in prompts.items() if name in given}
    if said and "hires" not in given:
        raise UsageError(
            "--hires-prompt and --hires-negative are of a hires pass, and there is none.",
            hint="Add --hires, such as --hires 1.5:latent:0.6.",
        )
    if said:
        given["hires"] = replace(given["hires"], **said)
    if "detail" in given:
        given["detail"] = tuple(one for each in given["detail"] for one in each)
    return given


def spelled(name: str) -> str:
    """The option of a field."""
    return "--" + name.replace("_", "-")
