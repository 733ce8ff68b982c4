"""A tokenizer's folder in a diffusers checkpoint, from the vocabulary that ships with Sakuga."""

import json
from pathlib import Path

from sakuga.engine.text.vocabulary import BEGIN_TEXT, END_TEXT, clip_merges, clip_vocabulary
from sakuga.profiles.families import CHUNK, TextEncoder

_PAD = {"end": END_TEXT, "zero": "!"}  # "!" is token 0


def tokenizer_name(encoder: TextEncoder) -> str:
    """Folder of an encoder's tokenizer: `tokenizer`, `tokenizer_2`."""
    return encoder.name.replace("text_encoder", "tokenizer")


def write_tokenizer_folder(encoder: TextEncoder, folder: Path) -> None:
    """The files transformers' CLIPTokenizer reads."""
    merges = clip_merges()
    specials = {
        "bos_token": BEGIN_TEXT,
        "eos_token": END_TEXT,
        "unk_token": END_TEXT,
        "pad_token": _PAD[encoder.pad],
    }
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": CHUNK, **specials}
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges), ""]
    folder.mkdir()
    texts = {
        "vocab.json": json.dumps(clip_vocabulary(merges), ensure_ascii=False),
        "merges.txt": "\n".join(lines),
        "special_tokens_map.json": json.dumps(specials, indent=2) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
