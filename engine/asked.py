"""What somebody typed: which options, and the command line again."""

import shlex
from collections.abc import Collection

import click
from click.core import ParameterSource


def asked(context: click.Context, beside: Collection[str] = ()) -> list[str]:
    """The options of a command line as they are called, but for those `beside`, given by name."""
    return [
        f"a {each.name}" if isinstance(each, click.Argument) else each.opts[0]
        for each in _given(context)
        if each.name not in beside
    ]


def said(context: click.Context) -> str:
    """The command line of a verb, ready to be typed again."""
    words = ["sakuga", context.info_name or ""]
    for each in _given(context):
        value = context.params[each.name or ""]
        if isinstance(each, click.Option):
            words.append(each.opts[0])
        if not (isinstance(each, click.Option) and each.is_flag):
            words.append(str(value))
    return shlex.join(words)


def _given(context: click.Context) -> list[click.Parameter]:
    return [
        each
        for each in context.command.params
        if context.get_parameter_source(each.name or "") is ParameterSource.COMMANDLINE
    ]
