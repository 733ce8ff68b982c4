"""Every kind of change against torch in float64: layers run beside the layer they change, or,
where a kind has no such form, the formula of its paper."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import conv2d, linear

BAR = 1e-5
WEIGHTS = [1.0, 0.6, -0.5]
ALPHA = torch.tensor(2.0)

Merge = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Layer:
    """A layer of sdxl-tiny, as kohya names it and as it is called here."""

    kohya: str
    name: str
    shape: tuple[int, ...]

    def named(self, parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {f"{self.kohya}.{ending}": tensor for ending, tensor in parts.items()}

    def before(self) -> torch.Tensor:
        return normal(*self.shape, seed=9)

    def inputs(self) -> torch.Tensor:
        sides = [8] * (len(self.shape) - 2)
        return normal(2, self.shape[1], *sides, seed=8).double()

    def run(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if weight.ndim == 2:
            return linear(x, weight.double())
        return conv2d(x, weight.double(), padding=weight.shape[-1] // 2)


_BLOCK = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0"
_NAME = "unet/down_blocks.1.attentions.0.transformer_blocks.0"
_RESNET, _RESNET_NAME = "lora_unet_down_blocks_1_resnets_0", "unet/down_blocks.1.resnets.0"
LINEAR = Layer(f"{_BLOCK}_attn2_to_k", f"{_NAME}.attn2.to_k.weight", (64, 96))
SQUARE = Layer(f"{_BLOCK}_attn1_to_q", f"{_NAME}.attn1.to_q.weight", (64, 64))
CONV = Layer(f"{_RESNET}_conv1", f"{_RESNET_NAME}.conv1.weight", (64, 32, 3, 3))
POINT = Layer(f"{_RESNET}_conv_shortcut", f"{_RESNET_NAME}.conv_shortcut.weight", (64, 32, 1, 1))

layers = pytest.mark.parametrize(
    "layer", [LINEAR, SQUARE, CONV], ids=["linear", "square", "convolution"]
)
weights = pytest.mark.parametrize("weight", WEIGHTS)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 1000 * sum(shape))
    return torch.randn(shape, generator=generator)


def off_by(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference in units of the largest wanted value."""
    error = float((found.double() - wanted.double()).abs().max() / wanted.double().abs().max())
    _errors.append(error)
    return error


_errors: list[float] = []


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest, worst: Callable[[str, float], float]) -> Iterator[None]:
    """Keeps the errors of a test under its name."""
    _errors.clear()
    yield
    for error in _errors:
        worst(request.node.originalname, error)


@weights
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_lora_of_a_linear_layer(merge: Merge, weight: float, dtype: torch.dtype) -> None:
    up, down = normal(64, 4).to(dtype), normal(4, 96).to(dtype)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": ALPHA.to(dtype)}
    before, x = LINEAR.before(), LINEAR.inputs()
    after = merge(LINEAR.named(parts), LINEAR.name, before, weight)
    beside = linear(linear(x, down.double()), up.double()) * (2 / 4)
    assert off_by(LINEAR.run(x, after), LINEAR.run(x, before) + weight * beside) < BAR


def test_without_alpha_the_scale_is_one(merge: Merge) -> None:
    up, down, before = normal(64, 4), normal(4, 96), LINEAR.before()
    lora = LINEAR.named({"lora_up.weight": up, "lora_down.weight": down})
    assert (
        off_by(merge(lora, LINEAR.name, before), before.double() + up.double() @ down.double())
        < BAR
    )


@weights
def test_lora_of_a_convolution(merge: Merge, weight: float) -> None:
    up, down = normal(64, 4, 1, 1), normal(4, 32, 3, 3)
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": ALPHA}
    before, x = CONV.before(), CONV.inputs()
    after = merge(CONV.named(parts), CONV.name, before, weight)
    beside = CONV.run(CONV.run(x, down), up) * (2 / 4)
    assert off_by(CONV.run(x, after), CONV.run(x, before) + weight * beside) < BAR


@pytest.mark.parametrize("flat", [True, False])
def test_lora_of_a_pointwise_convolution(merge: Merge, flat: bool) -> None:
    up, down = normal(64, 4, 1, 1), normal(4, 32, 1, 1)
    stored = {"lora_up.weight": up, "lora_down.weight": down}
    if flat:
        stored = {name: tensor[:, :, 0, 0] for name, tensor in stored.items()}
    before, x = POINT.before(), POINT.inputs()
    after = merge(POINT.named(stored), POINT.name, before)
    beside = POINT.run(POINT.run(x, down), up)
    assert off_by(POINT.run(x, after), POINT.run(x, before) + beside) < BAR


@weights
def test_locon_with_a_core(merge: Merge, weight: float) -> None:
    up, mid, down = normal(64, 4, 1, 1), normal(4, 6, 3, 3), normal(6, 32, 1, 1)
    parts = {"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down}
    before, x = CONV.before(), CONV.inputs()
    after = merge(CONV.named(parts | {"alpha": ALPHA}), CONV.name, before, weight)
    beside = CONV.run(CONV.run(CONV.run(x, down), mid), up) * (2 / 6)
    assert off_by(CONV.run(x, after), CONV.run(x, before) + weight * beside) < BAR


PAIRS = {"w1_a": (64, 4), "w1_b": (4, 96), "w2_a": (64, 4), "w2_b": (4, 96)}
CONV_PAIRS = {"w1_a": (64, 4), "w1_b": (4, 288), "w2_a": (64, 4), "w2_b": (4, 288)}
CORES = {
    **{"w1_a": (4, 64), "w1_b": (4, 32), "w2_a": (4, 64), "w2_b": (4, 32)},
    **{"t1": (4, 4, 3, 3), "t2": (4, 4, 3, 3)},
}


@weights
@pytest.mark.parametrize(
    ("layer", "parts"),
    [(LINEAR, PAIRS), (CONV, CONV_PAIRS), (CONV, CORES)],
    ids=["linear", "convolution", "core"],
)
def test_loha(merge: Merge, layer: Layer, parts: dict[str, tuple[int, ...]], weight: float) -> None:
    """(w1a w1b) ∘ (w2a w2b), each with a core between its two or without."""
    made = {f"hada_{part}": normal(*size, seed=n) for n, (part, size) in enumerate(parts.items())}
    factors = []
    for n in (1, 2):
        a, b = (made[f"hada_w{n}_{half}"].double() for half in "ab")
        core = made.get(f"hada_t{n}")
        factors.append(a @ b if core is None else with_core(core.double(), a, b))
    before = layer.before()
    after = merge(layer.named(made | {"alpha": ALPHA}), layer.name, before, weight)
    delta = (factors[0] * factors[1]).reshape(layer.shape)
    assert off_by(after, before.double() + weight * (2 / 4) * delta) < BAR


def with_core(core: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Place by place of the kernel: aᵀ core b."""
    places = [a.T @ core[:, :, row, column] @ b for row in range(3) for column in range(3)]
    return torch.stack(places, dim=-1).reshape(a.shape[1], b.shape[1], 3, 3)


W1, W1_PAIR = {"w1": (4, 8)}, {"w1_a": (4, 3), "w1_b": (3, 8)}


@weights
@pytest.mark.parametrize(
    ("layer", "parts", "scale"),
    [
        (LINEAR, W1 | {"w2": (16, 12)}, 1.0),
        (LINEAR, W1_PAIR | {"w2": (16, 12)}, 2 / 3),
        (LINEAR, W1 | {"w2_a": (16, 5), "w2_b": (5, 12)}, 2 / 5),
        (LINEAR, W1_PAIR | {"w2_a": (16, 3), "w2_b": (3, 12)}, 2 / 3),
        (CONV, W1 | {"w2": (16, 4, 3, 3)}, 1.0),
        (CONV, W1 | {"w2_a": (16, 5), "w2_b": (5, 36)}, 2 / 5),
        (CONV, W1 | {"w2_a": (5, 16), "w2_b": (5, 4), "t2": (5, 5, 3, 3)}, 2 / 5),
        (POINT, W1 | {"w2": (16, 4, 1, 1)}, 1.0),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_lokr(
    merge: Merge, layer: Layer, parts: dict[str, tuple[int, ...]], scale: float, weight: float
) -> None:
    """A Kronecker product: every entry of w1 scales a copy of w2."""
    made = {f"lokr_{part}": normal(*size, seed=1) for part, size in parts.items()}
    wide = {part.removeprefix("lokr_"): tensor.double() for part, tensor in made.items()}
    w1 = wide["w1"] if "w1" in wide else wide["w1_a"] @ wide["w1_b"]
    if "t2" in wide:
        w2 = with_core(wide["t2"], wide["w2_a"], wide["w2_b"])
    else:
        w2 = wide["w2"] if "w2" in wide else wide["w2_a"] @ wide["w2_b"]
    out, width, *kernel = layer.shape
    w2 = w2.reshape(out // 4, width // 8, *kernel)
    delta = torch.cat([torch.cat([entry * w2 for entry in row], dim=1) for row in w1], dim=0)
    before = layer.before()
    after = merge(layer.named(made | {"alpha": ALPHA}), layer.name, before, weight)
    assert off_by(after, before.double() + weight * scale * delta) < BAR


@pytest.mark.parametrize(("ending", "bias_ending"), [("diff", "diff_b"), ("w_norm", "b_norm")])
def test_full_differences_of_weight_and_bias(merge: Merge, ending: str, bias_ending: str) -> None:
    weight, bias = normal(64, 32, 3, 3), normal(64)
    lora, before = CONV.named({ending: weight, bias_ending: bias}), CONV.before()
    assert off_by(merge(lora, CONV.name, before, 0.3), before.double() + 0.3 * weight) < BAR
    bias_name, bias_before = CONV.name.replace(".weight", ".bias"), normal(64, seed=1)
    bias_after = merge(lora, bias_name, bias_before, 0.3)
    assert off_by(bias_after, bias_before.double() + 0.3 * bias) < BAR


def test_a_bias_of_peft_counts_with_the_scale_of_its_pair(merge: Merge) -> None:
    module = CONV.name.removesuffix(".weight").replace("/", ".", 1)
    up, down, bias = normal(64, 4, 1, 1), normal(4, 32, 3, 3), normal(64)
    lora = {f"{module}.lora_B.weight": up, f"{module}.lora_A.weight": down}
    lora |= {f"{module}.lora_B.bias": bias, f"{module}.alpha": ALPHA}
    before = normal(64, seed=1)
    after = merge(lora, CONV.name.replace(".weight", ".bias"), before, 0.7)
    assert off_by(after, before.double() + 0.7 * (2 / 4) * bias) < BAR


def test_a_norm_of_lycoris(merge: Merge) -> None:
    lora, before = {"lora_te1_text_model_final_layer_norm.w_norm": normal(32)}, normal(32, seed=1)
    after = merge(lora, "text_encoder/text_model.final_layer_norm.weight", before, 2.0)
    assert off_by(after, before.double() + 2 * normal(32)) < BAR


@layers
@weights
@pytest.mark.parametrize("on_input", [True, False])
def test_ia3(merge: Merge, layer: Layer, weight: float, on_input: bool) -> None:
    """Inputs, or outputs, are scaled by 1 + weight · factor."""
    count = layer.shape[1 if on_input else 0]
    ones = [1] * (len(layer.shape) - 2)
    factor = normal(*([1, count, *ones] if ones else [count]))
    gain = 1 + weight * factor.double().reshape(1, count, *ones)
    before, x = layer.before(), layer.inputs()
    wanted = layer.run(x * gain, before) if on_input else layer.run(x, before) * gain
    parts = {"weight": factor, "on_input": torch.tensor(on_input)}
    after = merge(layer.named(parts), layer.name, before, weight)
    assert off_by(layer.run(x, after), wanted) < BAR


@layers
@weights
def test_glora(merge: Merge, layer: Layer, weight: float) -> None:
    """W(x + A x) + B x, A and B of low rank."""
    out, width, *kernel = layer.shape
    ones = [1] * len(kernel)
    a1, a2 = normal(width, 4, *ones), normal(4, width, *ones, seed=2)
    b1, b2 = normal(out, 4, *ones, seed=3), normal(4, width, *kernel, seed=4)
    lora = {"a1.weight": a1, "a2.weight": a2, "b1.weight": b1, "b2.weight": b2, "alpha": ALPHA}
    before, x, run = layer.before(), layer.inputs(), layer.run
    after = merge(layer.named(lora), layer.name, before, weight)
    scale = weight * 2 / 4
    wanted = run(x + scale * run(run(x, a2), a1), before) + scale * run(run(x, b2), b1)
    assert off_by(run(x, after), wanted) < BAR


def test_glora_of_the_first_releases(merge: Merge) -> None:
    """Every pair the other way round: W a2 a1 + b2 b1."""
    a1, a2, b1, b2 = normal(4, 96), normal(96, 4), normal(4, 96, seed=1), normal(64, 4)
    lora = {"a1.weight": a1, "a2.weight": a2, "b1.weight": b1, "b2.weight": b2}
    before = LINEAR.before()
    after = merge(LINEAR.named(lora), LINEAR.name, before)
    w, a1, a2, b1, b2 = (tensor.double() for tensor in (before, a1, a2, b1, b2))
    assert off_by(after, w + w @ a2 @ a1 + b2 @ b1) < BAR


@layers
@weights
@pytest.mark.parametrize("axis", [0, 1])
def test_dora_of_lycoris(merge: Merge, layer: Layer, axis: int, weight: float) -> None:
    """Lengths of every output, or of every input: the scale's shape tells which."""
    up, down = normal(layer.shape[0], 4), normal(4, *layer.shape[1:])
    size = [1] * len(layer.shape)
    size[axis] = layer.shape[axis]
    lengths, before = normal(*size).abs() + 1, layer.before()
    parts = {"lora_up.weight": up, "lora_down.weight": down, "alpha": ALPHA}
    after = merge(layer.named(parts | {"dora_scale": lengths}), layer.name, before, weight)
    changed = before.double() + 0.5 * torch.einsum("or,ri...->oi...", up.double(), down.double())
    unit = torch.stack([each / each.norm() for each in changed.unbind(axis)], dim=axis)
    assert off_by(after, torch.lerp(before.double(), lengths.double() * unit, weight)) < BAR


def cayley(blocks: torch.Tensor, limit: float) -> torch.Tensor:
    """(I + Q)(I − Q)⁻¹ of the blocks' skew-symmetric part twice over, as the papers write it."""
    skew = blocks.double() - blocks.double().transpose(-1, -2)
    if limit and skew.norm() > limit:
        skew = skew * (limit / skew.norm())
    one = torch.eye(blocks.shape[-1], dtype=torch.double)
    return (one + skew) @ torch.linalg.inv(one - skew)


def outputs_last(y: torch.Tensor) -> torch.Tensor:
    return y if y.ndim == 2 else y.movedim(1, -1)


@layers
@weights
@pytest.mark.parametrize(("count", "size"), [(16, 4), (1, 64)])
@pytest.mark.parametrize(
    ("alpha", "rescaled"), [(None, False), (0.0, True), (0.01, True), (100.0, False)]
)
def test_oft(
    merge: Merge, layer: Layer, weight: float, count: int, size: int, alpha: float | None,
    rescaled: bool,
) -> None:  # fmt: skip
    """Behind the layer every block of its outputs is multiplied by R; then each is rescaled."""
    parts = {"oft_blocks": normal(count, size, size) / 4}
    parts |= {} if alpha is None else {"alpha": torch.tensor(alpha)}
    out, _, *kernel = layer.shape
    parts |= {"rescale": normal(out, 1, *[1] * len(kernel)).abs() + 1} if rescaled else {}
    turns = cayley(parts["oft_blocks"], (alpha or 0.0) * out)
    before, x = layer.before(), layer.inputs()
    y = outputs_last(layer.run(x, before))
    turned = torch.einsum("...kn,knm->...km", y.unflatten(-1, (count, size)), turns).flatten(-2)
    turned = turned * parts["rescale"].double().flatten() if rescaled else turned
    after = merge(layer.named(parts), layer.name, before, weight)
    assert off_by(outputs_last(layer.run(x, after)), torch.lerp(y, turned, weight)) < BAR


def butterfly(y: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Written out: in every layer the outputs stand in an order in which those `apart` from each
    other are neighbours; the first `size` of them go through the first block, and so on."""
    size = turns.shape[-1]
    for layer, blocks in enumerate(turns):
        apart = 2**layer * size // 2
        order = [
            start + half * apart + step
            for start in range(0, y.shape[-1], 2 * apart)
            for step in range(apart)
            for half in (0, 1)
        ]
        turned = torch.empty_like(y)
        for number, block in enumerate(blocks):
            here = order[number * size : (number + 1) * size]
            turned[..., here] = y[..., here] @ block.T
        y = turned
    return y


@layers
@weights
@pytest.mark.parametrize(
    ("levels", "size", "alpha"), [(5, 4, None), (3, 16, 0.01), (1, 64, 0.0), (2, 2, 100.0)]
)
def test_boft(
    merge: Merge, layer: Layer, weight: float, levels: int, size: int, alpha: float | None
) -> None:
    out, _, *kernel = layer.shape
    parts = {"oft_blocks": normal(levels, out // size, size, size) / 4}
    parts |= {} if alpha is None else {"alpha": torch.tensor(alpha)}
    parts |= {"rescale": normal(out, 1, *[1] * len(kernel)).abs() + 1} if alpha else {}
    before, x = layer.before(), layer.inputs()
    y = outputs_last(layer.run(x, before))
    turned = butterfly(y, cayley(parts["oft_blocks"], (alpha or 0.0) * out))
    turned = turned * parts["rescale"].double().flatten() if alpha else turned
    after = merge(layer.named(parts), layer.name, before, weight)
    assert off_by(outputs_last(layer.run(x, after)), torch.lerp(y, turned, weight)) < BAR


@pytest.mark.parametrize("levels", [None, 5])
def test_oft_changes_no_length(merge: Merge, levels: int | None) -> None:
    """What is turned keeps the lengths of its columns: the papers' point."""
    blocks = normal(16, 4, 4) if levels is None else normal(levels, 16, 4, 4)
    before = LINEAR.before()
    after = merge(LINEAR.named({"oft_blocks": blocks}), LINEAR.name, before)
    assert not torch.allclose(after, before, atol=0.1)
    assert off_by(after.norm(dim=0), before.norm(dim=0)) < BAR


@layers
@weights
def test_a_set_value(merge: Merge, layer: Layer, weight: float) -> None:
    value, before = normal(*layer.shape, seed=3), layer.before()
    after = merge(layer.named({"set_weight": value}), layer.name, before, weight)
    assert off_by(after, torch.lerp(before.double(), value.double(), weight)) < BAR
