"""Job ids, which become file names on every system."""

import re
import unicodedata

CONTACT_SHEET = "contact-sheet"
MAX_BYTES = 200  # leaves room for an extension and a temporary name within 255

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u2028\u2029]')
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENDS = re.compile(r"^[\s.]+|[\s.]+$")
_DEVICES = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE
)


def id_fault(text: str) -> str | None:
    """What keeps an id from being a safe file name, None where nothing does."""
    if not text:
        return "it is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it holds a lone surrogate"
    if size > MAX_BYTES:
        return f"it has {size} bytes, at most {MAX_BYTES} are possible"
    if found := _FORBIDDEN.search(text):
        return f"it holds {found.group()!r}"
    if text[0] == "." or text[-1] == "." or text != text.strip():
        return "it begins with a dot or a space, or ends with one"
    if same_file_key(text) == CONTACT_SHEET:
        return "the contact sheet has that name"
    if _DEVICES.fullmatch(text):
        return "Windows keeps that name for a device"
    return None


def safe_part(text: str) -> str:
    """A safe file name from any text, the text itself if it is one.

    Characters that cannot stand in names become underscores, what is too long is cut, and dots and
    spaces at the ends go.
    """
    if id_fault(text) is None:
        return text
    text = _cut(_FORBIDDEN.sub("_", _SURROGATE.sub("_", text))) or "_"
    return text if id_fault(text) is None else _cut(f"_{text}")


def _cut(text: str) -> str:
    text = text.encode()[:MAX_BYTES].decode(errors="ignore")
    return _ENDS.sub("", text)


def same_file_key(text: str) -> str:
    """Equal for names that some file systems take for the same (case, composed accents)."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", text).casefold()  # canonical caseless matching
    return unicodedata.normalize("NFC", folded)
