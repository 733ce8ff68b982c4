"""What `sakuga inspect` says of a LoRA file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sakuga.engine.errors import UnknownFamilyError
from sakuga.export.adapters.describe import describe_lora
from sakuga.export.demo import DEMO_CHECKPOINT, DEMO_LORA
from sakuga.export.inspect import inspect

WriteLora = Callable[..., Path]


def pair(module: str, rank: int, width: int) -> dict[str, torch.Tensor]:
    return {
        f"{module}.lora_up.weight": torch.ones(8, rank),
        f"{module}.lora_down.weight": torch.ones(rank, width),
    }


def test_the_demo_s_lora() -> None:
    facts = inspect(DEMO_LORA).facts
    assert facts["kind"] == "lora" and facts["name"] == "kosame"
    assert facts["hash"] == "ec914199806f" and facts["made_for"] == "SDXL"
    assert facts["kinds"] == {"LoRA": 124} and facts["ranks"] == {"8": 124}
    assert facts["changes"] == {"UNet": 124}


def test_all_that_a_file_tells(write_lora: WriteLora) -> None:
    tags = {"10_cat": {"cat ": 5, "smile": 2, "odd": "x"}, "3_dog": {"smile": 4}, "bad": 1}
    tensors = {
        **pair("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", 16, 2048),
        **pair("lora_te1_text_model_encoder_layers_0_mlp_fc1", 4, 768),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1.dora_scale": torch.ones(8, 1),
        "lora_unet_x.lokr_w1": torch.ones(2, 2),
        "lora_unet_x.lokr_w2": torch.ones(2, 2),
        "lora_unet_y.hada_w1_a": torch.ones(2, 2),
        "bundle_emb.easy.clip_l": torch.ones(1, 768),
        "odd": torch.ones(1),
    }
    metadata = {
        "ss_tag_frequency": json.dumps(tags),
        "modelspec.trigger_phrase": "catgirl\x1b[31m",
        "modelspec.title": "Cats",
        "ss_sd_model_name": "animagine.safetensors",
    }
    found = inspect(write_lora(tensors, metadata=metadata))
    assert found.facts["kinds"] == {"LoRA": 1, "LoRA with DoRA": 1, "LoKr": 1, "LoHa": 1}
    assert found.facts["ranks"] == {"16": 1, "4": 1}
    assert found.facts["tags"] == {"smile": 6, "cat": 5}
    assert found.facts["metadata"] == metadata
    summary = found.summary
    assert summary["rank"] == "16 (1), 4 (1)" and summary["made for"] == "SDXL"
    assert summary["changes"] == "UNet (3), text encoder (1)"
    assert summary["trained on"] == "animagine.safetensors" and summary["title"] == "Cats"
    assert summary["triggers"] == "catgirl [31m"  # nothing a terminal would obey
    assert summary["top tags"] == "smile (6), cat (5)"
    assert summary["embeddings"] == "easy"
    assert summary["not read"] == "1 key of no known ending"


@pytest.mark.parametrize("tags", ["", "[", "[1]", '{"a": [1]}', "[" * 100_000])
def test_metadata_that_mean_nothing(write_lora: WriteLora, tags: str) -> None:
    file = write_lora(pair("lora_unet_x", 2, 5), metadata={"ss_tag_frequency": tags})
    facts, summary = describe_lora(file)
    assert facts["tags"] == {} and facts["made_for"] == ""
    assert summary["top tags"] == summary["made for"] == "not told"
    json.dumps(facts)


def test_other_files_are_none() -> None:
    assert inspect(DEMO_CHECKPOINT).facts["kind"] == "checkpoint"
    with pytest.raises(UnknownFamilyError):
        describe_lora(DEMO_CHECKPOINT)
