"""Prompt text to CLIP token ids."""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from sakuga.engine.errors import BundleDamagedError, UsageError
from sakuga.engine.text.vocabulary import (
    BEGIN_TEXT,
    END_TEXT,
    WORD_END,
    clip_merges,
    clip_vocabulary,
)

# Far beyond any prompt that fits a model, and small enough to answer in 30 ms.
MAX_CHARACTERS = 32_768

# What CLIP takes for one word; the pattern is part of the published tokenizer.
_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)


class Tokenizer:
    """A CLIP tokenizer. Gives the ids that `transformers.CLIPTokenizer` gives."""

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads a `tokenizer.json` of the Hugging Face `tokenizers` library.

        Raises BundleDamagedError where the file is missing or is no such tokenizer.
        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls(tokenizers.Tokenizer.from_str(text))
        except Exception as error:  # the library raises bare Exception for a bad file
            raise BundleDamagedError(
                f"{path.name} is not a readable tokenizer.",
                note=f"{path}: {error}",
                hint="Build the bundle again.",
            ) from error

    def save(self, path: Path) -> None:
        """Writes the `tokenizer.json` that `load` reads."""
        path.write_text(self._backend.to_str(), encoding="utf-8", newline="\n")

    def with_special(self, token: str) -> "Tokenizer":
        """A copy that reads `token` as one id wherever it stands, even inside a word.

        transformers does so with a padding token. SDXL's second tokenizer pads with "!", so
        diffusers reads "wow!" there as 2781, 0 where other tools read 2781, 256.
        """
        copy = tokenizers.Tokenizer.from_str(self._backend.to_str())
        copy.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        return Tokenizer(copy)

    def encode(self, text: str) -> list[int]:
        """Token ids without begin and end. `<|endoftext|>` in the text is the one token 49407.

        Raises UsageError for text longer than MAX_CHARACTERS or with lone surrogates.
        """
        check_text(text)
        return self._backend.encode(text, add_special_tokens=False).ids


def check_text(text: str) -> None:
    """Raises UsageError for text longer than MAX_CHARACTERS or with lone surrogates."""
    if len(text) > MAX_CHARACTERS:
        raise UsageError(
            "The prompt is too long.",
            note=f"{len(text):,} characters; at most {MAX_CHARACTERS:,} are read.",
            hint="Shorten the prompt: a model reads a few hundred tokens at most.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise UsageError(
            "The prompt is not valid Unicode text.",
            note=f"Character {error.start + 1} is the lone surrogate U+{code:04X}.",
            hint="Remove that character; it often comes from cutting an emoji in half.",
        ) from error


def clip_tokenizer() -> Tokenizer:
    """CLIP's tokenizer from the shipped merges."""
    merges = clip_merges()
    model = models.BPE(
        vocab=clip_vocabulary(merges),
        merges=merges,
        end_of_word_suffix=WORD_END,
        unk_token=END_TEXT,
    )
    backend = tokenizers.Tokenizer(model)
    whitespace = normalizers.Replace(Regex(r"\s+"), " ")
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), whitespace, normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    specials = [AddedToken(text, normalized=False, special=True) for text in (BEGIN_TEXT, END_TEXT)]
    backend.add_special_tokens(specials)
    return Tokenizer(backend)


def write_tokenizer(path: Path) -> None:
    """Writes CLIP's `tokenizer.json`, the same bytes every time."""
    clip_tokenizer().save(path)
