"""Conditioning against diffusers' own prompt encoding, with small random text encoders."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)
from numpy.typing import NDArray
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from sakuga.engine.errors import UsageError
from sakuga.engine.text import vocabulary
from sakuga.engine.text.clip_skip import choose_layer
from sakuga.engine.text.conditioning import (
    ClipEncoder,
    Conditioning,
    RunNetwork,
    Tensors,
    check_prompt,
    encode,
    gather,
    time_ids,
)
from sakuga.engine.text.embeddings import Embedding, Embeddings
from sakuga.engine.text.segments import Emphasis, Grammar, Rule
from sakuga.engine.text.tokenizer import clip_tokenizer
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SD15_TINY, SDXL_TINY, Family, TextEncoder

PROMPTS = [
    "1girl, souryuu asuka langley, neon genesis evangelion, solo, upper body, v, smile",
    "",
    "nsfw, lowres, (bad), text, error!, [abstract]",
]
LONG = ", ".join(["looking at viewer"] * 30)  # 119 tokens

# Annotated loosely: the libraries' own annotations refuse what they document.
XLPipeline: Any = StableDiffusionXLPipeline
Pipeline: Any = StableDiffusionPipeline


def text_module(config: TextEncoder) -> torch.nn.Module:
    kind: Any = CLIPTextModel if config.projection is None else CLIPTextModelWithProjection
    torch.manual_seed(config.layers)
    module: torch.nn.Module = kind(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=config.hidden,
            intermediate_size=config.intermediate,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            hidden_act=config.activation,
            projection_dim=config.projection or config.hidden,
            eos_token_id=vocabulary.END,
        )
    )
    torch.nn.init.normal_(final_norm(module).bias, 0.3)  # as trained ones have: a mean not of 0
    return module.eval()


def final_norm(module: torch.nn.Module) -> torch.nn.LayerNorm:
    named = {name.split(".")[-1]: part for name, part in module.named_modules()}
    norm = named["final_layer_norm"]
    assert isinstance(norm, torch.nn.LayerNorm)
    return norm


def embedding(module: torch.nn.Module) -> torch.nn.Embedding:
    return next(part for part in module.modules() if isinstance(part, torch.nn.Embedding))


def runner(module: torch.nn.Module) -> RunNetwork:
    """The torch model as a network that reads embedded tokens, as the exported graphs do."""
    norm = final_norm(module)

    def run(inputs: Tensors) -> dict[str, NDArray[np.generic]]:
        embeds = torch.from_numpy(np.asarray(inputs["inputs_embeds"]))
        ids = torch.zeros(embeds.shape[:2], dtype=torch.long)
        ids[torch.arange(len(ids)), torch.from_numpy(np.asarray(inputs["end_index"]))] = 49407
        hook = embedding(module).register_forward_hook(lambda *_: embeds)
        with torch.no_grad():
            out = module(input_ids=ids, output_hidden_states=True)
            hidden = out.hidden_states[-int(inputs["clip_skip"][0])]
            states = {"hidden": hidden, "hidden_normed": norm(hidden)}
        hook.remove()
        if "text_embeds" in out:
            states["pooled"] = out.text_embeds
        return {name: value.numpy() for name, value in states.items()}

    return run


class Oracle:
    """A family's random text encoders, as diffusers' pipeline and as ours."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.modules = [text_module(config) for config in family.text_encoders]

    def encoders(self) -> list[ClipEncoder]:
        tokenizer = clip_tokenizer()
        return [
            ClipEncoder(
                config, tokenizer, embedding(module).weight.detach().numpy(), runner(module)
            )
            for config, module in zip(self.family.text_encoders, self.modules, strict=True)
        ]

    def diffusers_encoders(self) -> list[ClipEncoder]:
        return [
            replace(one, tokenizer=one.tokenizer.with_special("!"))
            if one.config.pad == "zero"
            else one
            for one in self.encoders()
        ]

    def encode(self, prompts: Sequence[str], clip_skip: int | None) -> list[Conditioning]:
        layers = min(config.layers for config in self.family.text_encoders)
        layer = choose_layer(self.family.kind, "diffusers", clip_skip, layers)
        grammar = Grammar("diffusers")
        return [encode([[one]], self.diffusers_encoders(), grammar, layer)[0][0] for one in prompts]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sdxl() -> Oracle:
    return Oracle(SDXL_TINY)


@pytest.fixture(scope="module")
def sd15() -> Oracle:
    return Oracle(SD15_TINY)


def their_tokenizer(pad: str) -> CLIPTokenizer:
    merges = vocabulary.clip_merges()
    vocab = vocabulary.clip_vocabulary(merges)
    kind: Any = CLIPTokenizer
    tokenizer: CLIPTokenizer = kind(vocab, merges, pad_token=pad, model_max_length=77)
    return tokenizer


@pytest.mark.parametrize("clip_skip", [None, 1])
def test_sdxl_equals_diffusers(sdxl: Oracle, clip_skip: int | None) -> None:
    parts = dict.fromkeys(["vae", "unet", "scheduler"])
    pipeline = XLPipeline(
        **parts,
        text_encoder=sdxl.modules[0],
        text_encoder_2=sdxl.modules[1],
        tokenizer=their_tokenizer("<|endoftext|>"),
        tokenizer_2=their_tokenizer("!"),
        add_watermarker=False,
    )
    with torch.no_grad():
        states, _, pooled, _ = pipeline.encode_prompt(
            PROMPTS, do_classifier_free_guidance=False, clip_skip=clip_skip, device="cpu"
        )
    for index, ours in enumerate(sdxl.encode(PROMPTS, clip_skip)):
        assert ours.states.shape == (77, SDXL_TINY.unet.context)
        assert ours.pooled is not None
        np.testing.assert_allclose(ours.states, states[index], atol=2e-5)
        np.testing.assert_allclose(ours.pooled, pooled[index], atol=2e-5)


@pytest.mark.parametrize("clip_skip", [None, 1, 2])
def test_sd15_equals_diffusers(sd15: Oracle, clip_skip: int | None) -> None:
    parts = dict.fromkeys(["vae", "unet", "scheduler", "safety_checker", "feature_extractor"])
    pipeline = Pipeline(
        **parts,
        text_encoder=sd15.modules[0],
        tokenizer=their_tokenizer("<|endoftext|>"),
        requires_safety_checker=False,
    )
    # diffusers looks for the final norm at the place older versions of transformers had it.
    vars(sd15.modules[0])["text_model"] = sd15.modules[0]
    with torch.no_grad():
        states, _ = pipeline.encode_prompt(PROMPTS, "cpu", 1, False, clip_skip=clip_skip)
    for index, ours in enumerate(sd15.encode(PROMPTS, clip_skip)):
        assert ours.pooled is None
        np.testing.assert_allclose(ours.states, states[index], atol=2e-5)


def test_diffusers_reports_the_tokens_it_cut(sd15: Oracle) -> None:
    assert [one.tokens_cut for one in sd15.encode(["1girl", LONG], None)] == [0, 119 - 75]


def web_ui(oracle: Oracle, prompts: Sequence[str], rule: Rule) -> list[Conditioning]:
    layer = choose_layer(oracle.family.kind, "a1111", None, 3)
    return [encode([[one]], oracle.encoders(), Grammar(rule), layer)[0][0] for one in prompts]


def test_long_prompt_is_its_chunks_encoded_apart(sdxl: Oracle) -> None:
    # "cat," is 2 tokens, each tag with its comma 4: the comma after 74 ends the first chunk.
    first = "cat, " + "looking at viewer, " * 18
    second = "looking at viewer, " * 12
    whole, head, tail = web_ui(sdxl, [first + second, first, second], "a1111")
    assert whole.states.shape == (154, SDXL_TINY.unet.context)
    np.testing.assert_allclose(whole.states, np.concatenate([head.states, tail.states]), atol=1e-6)
    assert whole.pooled is not None and head.pooled is not None
    np.testing.assert_allclose(whole.pooled, head.pooled, atol=1e-6)


def test_one_call_per_encoder_reads_all_rows(sdxl: Oracle) -> None:
    shapes = []

    def spied(encoder: ClipEncoder) -> ClipEncoder:
        def run(inputs: Tensors) -> Tensors:
            shapes.append({name: (value.shape, str(value.dtype)) for name, value in inputs.items()})
            return encoder.run(inputs)

        return replace(encoder, run=run)

    encoders = [spied(encoder) for encoder in sdxl.encoders()]
    layer = choose_layer("sdxl", "a1111", None, 3)
    encode([[LONG, "1girl", LONG]], encoders, Grammar("a1111"), layer)
    assert shapes == [
        {
            "inputs_embeds": ((4, 77, config.hidden), "float32"),
            "end_index": ((4,), "int64"),
            "clip_skip": ((1,), "int64"),
        }
        for config in SDXL_TINY.text_encoders
    ]


def test_more_rows_than_a_call_takes(sd15: Oracle) -> None:
    prompts = [f"{number} girls" for number in range(70)]
    layer = choose_layer("sd15", "a1111", None, 3)
    (together,) = encode([prompts], sd15.encoders(), Grammar("a1111"), layer)
    (alone,) = web_ui(sd15, prompts[69:], "a1111")
    assert len(together) == 70
    np.testing.assert_allclose(together[69].states, alone.states, atol=1e-6)


@pytest.mark.parametrize("rule", ["a1111", "comfy"])
def test_too_many_chunks(rule: Rule) -> None:
    tokenizer = clip_tokenizer()
    check_prompt("cat " * 225, tokenizer, Grammar(rule), 3)
    with pytest.raises(UsageError, match="4 chunks of 75; at most 3"):
        check_prompt("cat " * 226, tokenizer, Grammar(rule), 3)
    check_prompt("cat " * 226, tokenizer, Grammar("diffusers"), 1)


def test_zeroed_keeps_shapes(sdxl: Oracle) -> None:
    (one,) = web_ui(sdxl, ["1girl"], "a1111")
    zero = one.zeroed()
    assert zero.pooled is not None and one.pooled is not None
    assert (zero.states.shape, zero.pooled.shape) == (one.states.shape, one.pooled.shape)
    assert not zero.states.any() and not zero.pooled.any()
    assert zero.states.dtype == np.float32


def test_gather_reads_a_memory_mapped_half_precision_table(tmp_path: Path) -> None:
    table = np.linspace(0, 1, 49408 * 2).reshape(49408, 2).astype(np.float16)
    path = tmp_path / "table.npy"
    np.save(path, table)
    rows = np.array([[0, 5, 49407]])
    found = gather(np.load(path, mmap_mode="r"), rows)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, table[rows].astype(np.float32))


def test_time_ids_order() -> None:
    size = Size(width=832, height=1216)
    np.testing.assert_array_equal(time_ids(size), [1216, 832, 0, 0, 1216, 832])
    given = time_ids(
        size, original=Size(1920, 1080), crop_top=3, crop_left=4, target=Size(640, 1536)
    )
    np.testing.assert_array_equal(given, [1080, 1920, 3, 4, 1536, 640])
    assert given.dtype == np.float32


def encoded_by_torch(oracle: Oracle, rows: Sequence[Sequence[int]]) -> list[NDArray[np.float64]]:
    """The states of rows of 77 ids by each encoder's torch model, [rows, 77, hidden]: SDXL's
    penultimate layer, or SD1.5's last one behind the norm."""
    found = []
    for config, module in zip(oracle.family.text_encoders, oracle.modules, strict=True):
        ids = torch.tensor([padded(row, config.pad) for row in rows])
        with torch.no_grad():
            out: Any = module(input_ids=ids, output_hidden_states=True)
        states = out.last_hidden_state if oracle.family.kind == "sd15" else out.hidden_states[-2]
        found.append(states.double().numpy())
    return found


def padded(row: Sequence[int], pad: str) -> list[int]:
    filler = 49407 if pad == "end" else 0
    return [49406, *row, 49407, *[filler] * (75 - len(row))]


def tokens(pieces: Sequence[tuple[str, float]]) -> tuple[list[int], list[float]]:
    """Ids and weights of pieces tokenised apart by transformers."""
    tokenizer: Any = their_tokenizer("<|endoftext|>")
    ids, weights = [], []
    for text, weight in pieces:
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += found
        weights += [weight] * len(found)
    return ids, weights


def column(weights: Sequence[float]) -> NDArray[np.float64]:
    return np.array([1, *weights, *[1] * (76 - len(weights))])[:, None]


WEIGHTED = "a (cat:1.3), ((red [eyes])) BREAK (night:0.5)"
FIRST = [("a ", 1.0), ("cat", 1.3), (", ", 1.0), ("red ", 1.1 * 1.1), ("eyes", 1.1)]
SECOND = [("night", 0.5)]


@pytest.mark.parametrize("emphasis", ["Original", "No norm", "Ignore"])
@pytest.mark.parametrize("family", ["sdxl", "sd15"])
def test_a1111_scales_states_and_restores_the_mean_of_a_chunk(
    family: str, emphasis: Emphasis, request: pytest.FixtureRequest
) -> None:
    oracle: Oracle = request.getfixturevalue(family)
    layer = choose_layer(oracle.family.kind, "a1111", None, 3)
    ((ours,),) = encode([[WEIGHTED]], oracle.encoders(), Grammar("a1111", emphasis), layer)
    (first, one), (second, other) = tokens(FIRST), tokens(SECOND)
    parts = []
    for states in encoded_by_torch(oracle, [first, second]):
        chunks = []
        for z, weights in zip(states, (one, other), strict=True):
            scaled = z if emphasis == "Ignore" else z * column(weights)
            ratio = z.mean() / scaled.mean() if emphasis == "Original" else 1.0
            chunks.append(scaled * ratio)
        parts.append(np.concatenate(chunks))
    expected = np.concatenate(parts, axis=-1)
    np.testing.assert_allclose(ours.states, expected, atol=2e-5 * np.abs(expected).max())
    ((plain, *_),) = encode([["a cat, red eyes"]], oracle.encoders(), Grammar("a1111"), layer)
    if plain.pooled is not None:
        assert ours.pooled is not None
        np.testing.assert_allclose(ours.pooled, plain.pooled, atol=1e-6)


def test_emphasis_none_reads_nothing(sdxl: Oracle) -> None:
    layer = choose_layer("sdxl", "a1111", None, 3)
    ((ours,),) = encode([[WEIGHTED]], sdxl.encoders(), Grammar("a1111", "None"), layer)
    ids, _ = tokens([(WEIGHTED, 1.0)])
    expected = np.concatenate(encoded_by_torch(sdxl, [ids]), axis=-1)[0]
    np.testing.assert_allclose(ours.states, expected, atol=2e-5)


def test_the_mean_runs_over_all_that_editing_makes_of_a_prompt(sdxl: Oracle) -> None:
    layer = choose_layer("sdxl", "a1111", None, 3)
    texts = ["a (cat:1.5)", "dog", "a (cat:1.5)"]
    (ours,) = encode([texts], sdxl.encoders(), Grammar("a1111"), layer)
    assert ours[0] is ours[2]
    (cat, one), (dog, other) = tokens([("a ", 1.0), ("cat", 1.5)]), tokens([("dog", 1.0)])
    parts = []
    for states in encoded_by_torch(sdxl, [cat, dog, cat]):
        scaled = states * np.stack([column(one), column(other), column(one)])
        parts.append(scaled * (states.mean() / scaled.mean()))
    expected = np.concatenate(parts, axis=-1)
    for found, wanted in zip(ours, expected, strict=True):
        np.testing.assert_allclose(found.states, wanted, atol=2e-5 * np.abs(wanted).max())


def test_shorter_texts_of_one_prompt_get_empty_chunks(sdxl: Oracle) -> None:
    layer = choose_layer("sdxl", "a1111", None, 3)
    ((long, short),) = encode([[LONG, "1girl"]], sdxl.encoders(), Grammar("a1111"), layer)
    assert len(long.states) == len(short.states) == 154
    ids, _ = tokens([("1girl", 1.0)])
    empty_g = [49406, 49407, *[0] * 75]
    states = encoded_by_torch(sdxl, [ids, []])
    expected = np.concatenate([each.reshape(154, -1) for each in states], axis=-1)
    assert padded([], "zero") == empty_g
    np.testing.assert_allclose(short.states, expected, atol=2e-5)


@pytest.mark.parametrize("family", ["sdxl", "sd15"])
def test_comfy_goes_from_the_empty_prompt(family: str, request: pytest.FixtureRequest) -> None:
    oracle: Oracle = request.getfixturevalue(family)
    layer = choose_layer(oracle.family.kind, "comfy", None, 3)
    text = "a (cat:1.3), ((red (eyes:0.4) [b])) BREAK"
    pieces = [("a ", 1.0), ("cat", 1.3), (", ", 1.0), ("red ", 1.21), ("eyes", 0.4)]
    pieces += [(" [b]", 1.21), (" BREAK", 1.0)]
    ((ours,),) = encode([[text]], oracle.encoders(), Grammar("comfy"), layer)
    ids, weights = tokens(pieces)
    parts = [
        empty + (z - empty) * column(weights) for z, empty in encoded_by_torch(oracle, [ids, []])
    ]
    expected = np.concatenate(parts, axis=-1)
    np.testing.assert_allclose(ours.states, expected, atol=2e-5)


def test_vectors_of_an_embedding_stand_for_its_name(sdxl: Oracle) -> None:
    generator = np.random.default_rng(0)
    vectors = {
        config.name: generator.standard_normal((2, config.hidden)).astype(np.float32)
        for config in SDXL_TINY.text_encoders
    }
    known = Embeddings([Embedding("EasyNegative", "", vectors)], clip_tokenizer())
    seen = []

    def spied(encoder: ClipEncoder) -> ClipEncoder:
        def run(inputs: Tensors) -> Tensors:
            seen.append(np.asarray(inputs["inputs_embeds"]))
            return encoder.run(inputs)

        return replace(encoder, run=run)

    encoders = [spied(encoder) for encoder in sdxl.encoders()]
    layer = choose_layer("sdxl", "a1111", None, 3)
    encode([["cat, easynegative, a"]], encoders, Grammar("a1111", embeddings=known), layer)
    encode(
        [["cat, embedding:EasyNegative, a"]], encoders, Grammar("comfy", embeddings=known), layer
    )
    for index, embeds in enumerate(seen):
        config, table = SDXL_TINY.text_encoders[index % 2], encoders[index % 2].table
        ids = [49406, 2368, 267, 0, 0, 267, 320, 49407]
        np.testing.assert_array_equal(embeds[0, 3:5], vectors[config.name])
        others = [0, 1, 2, 5, 6, 7]
        np.testing.assert_array_equal(embeds[0, others], table[[ids[at] for at in others]])
