"""Keys of every trainer find their module, and no key is dropped."""

import pytest

from sakuga.export.adapters.parts import take_apart
from sakuga.export.adapters.spellings import modules_by_spelling
from sakuga.profiles.families import FAMILIES, SD15, SDXL, Family
from sakuga.profiles.weights import weights

_ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1"
_LAYER = "text_model.encoder.layers.3.self_attn.q_proj"


@pytest.mark.parametrize(
    ("family", "key", "module", "part"),
    [
        (
            SDXL,
            "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.lora_up.weight",
            ("unet", f"{_ATTENTION}.to_q"),
            "up",
        ),
        (
            SDXL,
            "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0.alpha",
            ("unet", f"{_ATTENTION}.to_out.0"),
            "alpha",
        ),
        (
            SDXL,
            "lora_unet_middle_block_1_proj_in.hada_w1_a",
            ("unet", "mid_block.attentions.0.proj_in"),
            "w1_a",
        ),
        (
            SDXL,
            "lora_unet_output_blocks_2_2_conv.lora_mid.weight",
            ("unet", "up_blocks.0.upsamplers.0.conv"),
            "mid",
        ),
        (
            SDXL,
            "lora_unet_label_emb_0_2.lokr_w2_b",
            ("unet", "add_embedding.linear_2"),
            "kron_w2_b",
        ),
        (
            SDXL,
            "oft_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.oft_blocks",
            ("unet", f"{_ATTENTION}.to_q"),
            "oft_blocks",
        ),
        (
            SD15,
            "oft_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.oft_blocks",
            ("unet", f"{_ATTENTION}.to_q"),
            "oft_blocks",
        ),
        (
            SDXL,
            "lora_unet_middle_block_1_proj_in.rescale",
            ("unet", "mid_block.attentions.0.proj_in"),
            "rescale",
        ),
        (
            SDXL,
            f"diffusion_model.{_ATTENTION}.to_q.set_weight",
            ("unet", f"{_ATTENTION}.to_q"),
            "set",
        ),
        (
            SDXL,
            "lycoris_down_blocks_1_resnets_0_conv1.lokr_w1",
            ("unet", "down_blocks.1.resnets.0.conv1"),
            "kron_w1",
        ),
        (
            SDXL,
            "lora_te1_text_model_encoder_layers_3_self_attn_q_proj.lora_down.weight",
            ("text_encoder", _LAYER),
            "down",
        ),
        (
            SDXL,
            "lora_te2_text_model_encoder_layers_3_self_attn_q_proj.dora_scale",
            ("text_encoder_2", _LAYER),
            "dora_scale",
        ),
        (
            SDXL,
            "lora_te2_text_projection.lora_up.weight",
            ("text_encoder_2", "text_projection"),
            "up",
        ),
        (
            SD15,
            "lora_te_text_model_encoder_layers_3_self_attn_q_proj.lora_up.weight",
            ("text_encoder", _LAYER),
            "up",
        ),
        (
            SDXL,
            f"unet.{_ATTENTION}.to_q.lora_A.weight",
            ("unet", f"{_ATTENTION}.to_q"),
            "down",
        ),
        (
            SDXL,
            f"unet.{_ATTENTION}.to_q.lora_B.default.weight",
            ("unet", f"{_ATTENTION}.to_q"),
            "up",
        ),
        (
            SDXL,
            f"base_model.model.{_ATTENTION}.to_q.lora_magnitude_vector",
            ("unet", f"{_ATTENTION}.to_q"),
            "magnitude",
        ),
        (
            SDXL,
            f"text_encoder_2.{_LAYER}.lora_A.weight",
            ("text_encoder_2", _LAYER),
            "down",
        ),
        (
            SD15,
            "text_encoder.encoder.layers.3.self_attn.q_proj.lora_B.weight",
            ("text_encoder", _LAYER),
            "up",
        ),
        (
            SD15,
            f"text_encoder.{_LAYER}.lora_linear_layer.up.weight",
            ("text_encoder", _LAYER),
            "up",
        ),
        (
            SD15,
            f"unet.{_ATTENTION}.processor.to_q_lora.down.weight",
            ("unet", f"{_ATTENTION}.to_q"),
            "down",
        ),
        (
            SD15,
            f"{_ATTENTION}.processor.to_out_lora.up.weight",
            ("unet", f"{_ATTENTION}.to_out.0"),
            "up",
        ),
        (
            SDXL,
            "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q.diff",
            ("unet", f"{_ATTENTION}.to_q"),
            "diff",
        ),
        (
            SDXL,
            f"text_encoders.clip_g.transformer.{_LAYER}.diff_b",
            ("text_encoder_2", _LAYER),
            "diff_b",
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_trainers_and_their_names(
    family: Family, key: str, module: tuple[str, str], part: str
) -> None:
    ((spelling, keys),) = take_apart([key]).modules.items()
    assert keys == {part: key}
    assert modules_by_spelling(family)[spelling] == module


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_module_but_the_vae_s_can_be_spelt(family: Family) -> None:
    meant = set(modules_by_spelling(family).values())
    for component, shapes in weights(family).items():
        for name in shapes:
            known = (component, name.rpartition(".")[0]) in meant
            assert known == (component != "vae")


def test_an_sd15_name_means_nothing_to_sdxl() -> None:
    known = modules_by_spelling(SDXL)
    assert "lora_te_text_model_encoder_layers_3_self_attn_q_proj" not in known
    assert "lora_unet_up_blocks_3_attentions_0_proj_in" not in known


def test_what_has_no_known_ending_is_kept_as_strange() -> None:
    keys = ["a.oft_R.default", "b.lora_up.weight", "c", "bundle_emb.easy.string_to_param.*"]
    found = take_apart([*keys, "b.lora_B.weight", "bundle_emb.hard.clip_l"])
    assert found.strange == ("a.oft_R.default", "c", "b.lora_B.weight")
    assert found.embeddings == {
        "easy": {"string_to_param.*": "bundle_emb.easy.string_to_param.*"},
        "hard": {"clip_l": "bundle_emb.hard.clip_l"},
    }
    assert found.modules == {"b": {"up": "b.lora_up.weight"}}
