"""The words of a command line, as a POSIX shell cuts it where nothing is expanded.

The same words as those of the standard library's `shlex.split`, which takes a microsecond for every
character.
"""

import re

_PLAIN = r"""[^ \t\r\n"'\\]++"""
_QUOTED = r"""\\(?s:.)|"[^"\\]*+(?:\\(?s:.)[^"\\]*+)*+"|'[^']*+'"""
_WORD = re.compile(f"(?:{_PLAIN}|{_QUOTED})++")
_LINE = re.compile(f"(?:[ \\t\\r\\n]++|{_PLAIN}|{_QUOTED})*+")
_QUOTES = re.compile(_QUOTED)
_ESCAPED = re.compile(r'\\(["\\])')


def shell_words(line: str) -> list[str]:
    """The words of a line.

    Raises ValueError where a quotation does not end or nothing follows a backslash; its text says
    where it begins.
    """
    match = _LINE.match(line)
    end = match.end() if match else 0
    if end < len(line):
        raise ValueError(f"{line[end]} at column {end + 1} has no end")
    return [_unquoted(word) for word in _WORD.findall(line)]


def _unquoted(word: str) -> str:
    if "\\" not in word:
        parts = word.split('"')
        if "'" not in word and len(parts) == 1:
            return word
        if len(parts) == 3 and not parts[0] and not parts[2]:  # as most are written
            return parts[1]
    return _QUOTES.sub(_inside, word)


def _inside(match: re.Match[str]) -> str:
    quoted = match[0]
    if quoted[0] == '"' and "\\" in quoted:
        return _ESCAPED.sub(r"\1", quoted[1:-1])
    return quoted[1:] if quoted[0] == "\\" else quoted[1:-1]
