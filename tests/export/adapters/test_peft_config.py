"""How strongly PEFT's config says a change counts."""

import math
from pathlib import Path

import pytest
import torch
from peft.utils.other import get_pattern_key
from safetensors.torch import save_file

from sakuga.engine.errors import FileFormatError
from sakuga.export.adapters.lora_file import open_lora
from sakuga.export.adapters.peft_config import PatternError, peft_scale

MODULE = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.mark.parametrize(
    ("config", "rank", "scale"),
    [
        ({}, 4, 1.0),
        ({"lora_alpha": 6}, 4, 1.5),
        ({"lora_alpha": 6, "use_rslora": True}, 4, 3.0),
        ({"lora_alpha": 6, "r": 4}, None, 1.0),  # LoRA has no form without a rank
        ({"alpha": 6, "r": 8}, 4, 1.5),
        ({"alpha": 6, "r": 4}, None, 1.5),
        ({"alpha": 6, "r": 4, "rank_pattern": {"to_k": 3}}, None, 2.0),
        ({"alpha": 0, "r": 4}, 4, 0.0),
        ({"alpha": 6, "r": 0}, None, 1.0),
        ({"lora_alpha": "much"}, 4, 1.0),
        ({"lora_alpha": 6, "alpha_pattern": []}, 4, 1.5),
    ],
    ids=str,
)
def test_scales(config: dict[str, object], rank: int | None, scale: float) -> None:
    assert math.isclose(peft_scale(config, MODULE, rank), scale)


@pytest.mark.parametrize(
    "patterns",
    [
        ["to_k"],
        ["attn2.to_k", "to_k"],
        ["to_k", "attn2.to_k"],
        ["o_k", "to_q", "attn2.to_k"],
        [f"^{MODULE}", "to_k"],
        ["^attn2.to_k", "to_k"],
        ["attn2"],
        [MODULE],
    ],
    ids=str,
)
def test_the_first_pattern_that_fits_counts_as_in_peft(patterns: list[str]) -> None:
    values: dict[str, object] = {pattern: n + 2 for n, pattern in enumerate(patterns)}
    config: dict[str, object] = {"lora_alpha": 1, "alpha_pattern": values}
    assert peft_scale(config, MODULE, 1) == values.get(get_pattern_key(patterns, MODULE), 1)


@pytest.mark.parametrize("pattern", [".*to_k", "(a|b)", "to_[qk]", "to_k$", "(a+)+b", ""])
def test_regular_expressions_are_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(PatternError):
        peft_scale({"lora_alpha": 1, "alpha_pattern": {pattern: 2}}, MODULE, 1)
    keys = [f"base_model.model.{MODULE}.lora_{side}.weight" for side in "AB"]
    save_file({key: torch.ones(1, 1) for key in keys}, tmp_path / "a.safetensors")
    text = f'{{"lora_alpha": 1, "alpha_pattern": {{"{pattern}": 2}}}}'
    (tmp_path / "adapter_config.json").write_text(text)
    lora = open_lora(tmp_path / "a.safetensors")
    with lora.file, pytest.raises(FileFormatError, match="is not clear"):
        lora.scale("unet", MODULE, 1)
