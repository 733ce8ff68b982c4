"""Job files of prompts: a prompt a line, or options as in A1111's "Prompts from file or textbox".

A line that begins with `--` consists of options, in the quotes of a shell:

    --prompt "1girl, smile" --negative_prompt "lowres" --seed 42 --steps 28 --cfg_scale 5

Names are those of the fields of a job, in any tool's words, with dashes or underscores. A prompt
goes on up to the next option, quoted or not. What A1111 knows besides is noted where it changes no
picture, else refused. Source: AUTOMATIC1111/stable-diffusion-webui, scripts/prompts_from_file.py.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches

from sakuga.engine.errors import UsageError
from sakuga.engine.jobs.fields import FIELD_OF, FIELDS
from sakuga.engine.jobs.line import Line, Place, checked
from sakuga.engine.jobs.shell_words import shell_words
from sakuga.engine.jobs.text_file import numbered_lines

# Options of A1111 that are no fields.
_NOTED = {
    "outpath_samples": "pictures go where --out says",
    "outpath_grids": "the contact sheet goes where --out says",
    "prompt_for_display": "a picture's settings hold the prompt itself",
    "do_not_save_grid": "the contact sheet is made all the same",
}
_REFUSED = {
    "sd_model": "All pictures of a run are made with one bundle: put this line into another file.",
    "styles": "There are no styles here: write their words into the prompts.",
    "sampler_index": "Samplers have no numbers here: use --sampler_name.",
    "restore_faces": "Leave it out.",
    "tiling": "Leave it out.",
    "do_not_save_samples": "Leave it out: every picture is written.",
}
_ASKS_NOTHING = ("", "false")
_SIDES = ("seed_resize_from_w", "seed_resize_from_h")
_PROMPTS = ("prompt", "negative_prompt")
_COUNTS = ("batch_size", "n_iter")
_NO_FIELDS = {**_NOTED, **_REFUSED}
_OPTIONS = {
    f"--{spelling}": name
    for name in (*FIELD_OF, *_NO_FIELDS, *_SIDES)
    for spelling in (name, name.replace("_", "-"))
}

_OPTION = re.compile(r"(?<!\S)--[A-Za-z][\w-]*(?!\S)")


def read_prompt_lines(text: str, source: str) -> Iterator[Line]:
    """The jobs of a text with a prompt or options a line. Raises UsageError that names line and
    option."""
    for number, line in numbered_lines(text, source):
        place, written = Place(source, number), line.strip()
        if written.startswith("--"):
            yield _job(_options(written, place), place)
        else:
            _check_prompt(written, place)
            yield Line(place, checked({"prompt": written}, place))


def _options(line: str, place: Place) -> dict[str, str]:
    """Values by option. The words of a prompt are joined by spaces."""
    try:
        left = shell_words(line)[::-1]
    except ValueError as error:
        raise UsageError(
            f"{place}: the quotes do not match.",
            note=f"{error}.",
            hint='Write --prompt "…"; within, a quote is \\" and a backslash is \\\\.',
        ) from error
    options: dict[str, str] = {}
    while left:
        word = left.pop()
        name = _OPTIONS.get(word)
        if name is None:
            raise _no_option(word, place)
        if name in options:
            raise UsageError(f"{place}: --{name} is given twice.", hint="Keep one of them.")
        if not left or left[-1] in _OPTIONS:
            raise UsageError(
                f"{place}: --{name} has no value.", hint=f'Write --{name} "…", or leave it out.'
            )
        options[name] = left.pop()
        while name in _PROMPTS and left and not left[-1].startswith("--"):
            options[name] += f" {left.pop()}"
    return options


def _no_option(word: str, place: Place) -> UsageError:
    if not word.startswith("--"):
        return UsageError(
            f"{place}: {word[:80]!r} stands where an option is expected.",
            hint="Put a value that holds spaces into quotes.",
        )
    near = get_close_matches(word[:80], _OPTIONS, n=1)
    return UsageError(
        f"{place}: there is no option {word[:80]!r}.",
        note=f"Known options: {', '.join(f'--{each}' for each in FIELDS)}, and A1111's.",
        hint=f"Did you mean {near[0]}?" if near else "",
    )


def _job(options: dict[str, str], place: Place) -> Line:
    notes = _beside(options, place)
    size = _seed_resize(options, place)
    given = {name: FIELDS[FIELD_OF[name]].from_text(value) for name, value in options.items()}
    if {*_COUNTS} <= given.keys() and "count" not in given:
        batches = [checked({name: given.pop(name)}, place)["count"] for name in _COUNTS]
        given["count"] = batches[0] * batches[1]
    return Line(place, checked(given | size, place), notes)


def _beside(options: dict[str, str], place: Place) -> tuple[str, ...]:
    """The notes of options that are no fields; they leave `options`."""
    notes: list[str] = []
    for name in [name for name in options if name in _NO_FIELDS]:
        asks = options.pop(name).strip().lower() not in _ASKS_NOTHING
        if asks and name in _REFUSED:
            raise UsageError(f"{place}: --{name} cannot be followed here.", hint=_REFUSED[name])
        if asks:
            notes.append(f"--{name} is not followed: {_NOTED[name]}.")
    return tuple(notes)


def _seed_resize(options: dict[str, str], place: Place) -> dict[str, str]:
    """The field that two options of A1111 make, which leave `options`; none where it would not
    resize."""
    sides = [options.pop(name).strip() for name in _SIDES if name in options]
    if len(sides) == 1:
        raise UsageError(
            f"{place}: --{_SIDES[0]} and --{_SIDES[1]} belong together.",
            hint="Give both, or neither.",
        )
    return {} if set(sides) <= {"0", "-1"} else {"seed_resize": "x".join(sides)}


def _check_prompt(prompt: str, place: Place) -> None:
    """Raises UsageError for options behind a prompt, which A1111 would take for words of it."""
    for match in _OPTION.finditer(prompt) if "--" in prompt else ():
        if match[0] in _OPTIONS:
            raise UsageError(
                f"{place}: the option {match[0]} stands behind a prompt.",
                hint='Begin the line with --prompt "…" and put the options behind it.',
            )
