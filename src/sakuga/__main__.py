"""The command line: `sakuga VERB …`, also `python -m sakuga`."""

import importlib
import os
import signal
import sys
from typing import Any

import click

from sakuga.engine.errors import SakugaError
from sakuga.engine.version import VERSION

# Each verb is imported when it is called: rendering never loads the exporter.
VERBS = {
    "build": "sakuga.export.cli",
    "build-upscaler": "sakuga.export.upscaler.command",
    "render": "sakuga.engine.cli",
    "serve": "sakuga.engine.serve.command",
    "export-triton": "sakuga.engine.serve.triton.export",
    "inspect": "sakuga.export.cli",
    "presets": "sakuga.engine.about",
    "lint-prompt": "sakuga.engine.lint_prompt",
    "doctor": "sakuga.engine.about",
}
FAILED = 1
INTERRUPTED = 1


class Verbs(click.Group):
    """A command group that loads the verb it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, None where there is no such verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="sakuga")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def sakuga(debug: bool) -> None:
    """Build an anime Stable Diffusion checkpoint once, render from it fast and faithfully."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit. Errors go to stderr as what, facts, and what to do next."""
    given = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _stop)
    try:
        result: Any = sakuga.main(given, prog_name="sakuga", standalone_mode=False)
    except SakugaError as error:
        if "--debug" in given:
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        if "--debug" in given:
            raise
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"Error: The system refused: {error.strerror or error}{where}.", err=True)
        sys.exit(FAILED)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped. Whatever was finished before is whole.", err=True)
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)


def _stop(number: int, frame: object) -> None:
    """SIGTERM stops like Ctrl-C: whatever is half-written is removed on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
