"""Stage 3: the UNet predicts the noise in latents, from small shapes to all nine.

The noise schedule is SDXL's. The loss is weighted by min-SNR-5 (Hang et al. 2023,
arXiv:2303.09556), and lifted towards high noise, where the words decide what colours things get
and where a small model otherwise spends nothing. Once colours are bound, a second and longer run
with less of that lift works on faces.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sakuga.engine.text.conditioning import time_ids
from sakuga.export.demo.captions import caption
from sakuga.export.demo.training.device import DEVICE, half_precision
from sakuga.export.demo.training.latents import Shelf
from sakuga.export.demo.training.pictures import scene_number
from sakuga.export.demo.training.progress import Average, Run, cosine
from sakuga.export.demo.training.text import TextEncoders, stacked
from sakuga.export.demo.training.tokens import tokenized
from sakuga.export.reference import unet_module
from sakuga.profiles.buckets import Size
from sakuga.profiles.families import SDXL_DEMO

TRAIN_STEPS = 1000
MIN_SNR = 5.0

Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # latents, states, pooled


@dataclass(frozen=True)
class Emphasis:
    """Where training looks: the density of timesteps, and the weight of their errors.

    Timesteps are `u ** lean * 1000` with u uniform: below 1, they lean towards high noise.
    Weights are multiplied by `(1 + 1 / snr) ** lift`.
    """

    lean: float
    lift: float


BINDING = Emphasis(lean=0.6, lift=0.5)
REFINING = Emphasis(lean=0.9, lift=0.25)


@dataclass(frozen=True)
class UNetOptions:
    """`small_steps` of `small_batch` on half-size shapes, then `steps` of `batch` on all nine.

    `refining_steps` follow, at a learning rate that rises and falls once more.
    """

    small_steps: int = 1440
    small_batch: int = 32
    steps: int = 2400
    batch: int = 16
    rate: float = 1e-3
    refining_steps: int = 4800
    refining_rate: float = 6e-4
    average: float = 0.999
    dropped: float = 0.1  # of captions are empty, for guidance
    seed: int = 3
    scenes_seed: int = 10

    @property
    def binding_steps(self) -> int:
        """Steps of the first run, in which the words come to mean something."""
        return self.small_steps + self.steps

    @property
    def total(self) -> int:
        """Steps of both runs."""
        return self.binding_steps + self.refining_steps

    def emphasis_at(self, step: int) -> Emphasis:
        """Where training looks at a step."""
        return BINDING if step < self.binding_steps else REFINING

    def rate_at(self, step: int) -> float:
        """The learning rate: one cosine for each of the two runs."""
        if step < self.binding_steps:
            return self.rate * cosine(step, self.binding_steps)
        return self.refining_rate * cosine(step - self.binding_steps, self.refining_steps)


def alphas_cumprod() -> torch.Tensor:
    """SDXL's training schedule, float64 [1000]: betas linear in their square roots."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TRAIN_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0)


def loss_weights(emphasis: Emphasis) -> torch.Tensor:
    """Weight of each timestep's squared noise error, float32 [1000]."""
    kept = alphas_cumprod()
    snr = kept / (1 - kept)
    weights = snr.clamp(max=MIN_SNR) / snr * (1 + 1 / snr) ** emphasis.lift
    return weights.float()


def noise_loss(
    unet: Any,  # noqa: ANN401 (diffusers' module)
    size: Size,
    latents: torch.Tensor,
    states: torch.Tensor,
    pooled: torch.Tensor,
    emphasis: Emphasis,
) -> torch.Tensor:
    """Weighted squared error of the noise predicted in latents of one picture size, a scalar.

    Noise and timesteps come from torch's generator. Timesteps are stratified over the rows.
    """
    rows, noise = len(latents), torch.randn_like(latents)
    share = (torch.arange(rows) + torch.rand(rows)) / rows
    times = (share**emphasis.lean * TRAIN_STEPS).long().clamp(max=TRAIN_STEPS - 1)
    kept = alphas_cumprod()[times].float()[:, None, None, None].to(DEVICE)
    noisy = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    ids = torch.from_numpy(time_ids(size)).expand(rows, -1).to(DEVICE)
    added = {"text_embeds": pooled, "time_ids": ids}
    with half_precision():
        predicted = unet(noisy, times.to(DEVICE), states, added_cond_kwargs=added).sample
    error = (predicted.float() - noise).square().mean((1, 2, 3))
    loss: torch.Tensor = (error * loss_weights(emphasis)[times].to(DEVICE)).mean()
    return loss


@dataclass(frozen=True, eq=False)
class Trainer:
    """Everything a step needs."""

    unet: Any  # diffusers' module
    encoders: TextEncoders
    optimizer: torch.optim.Optimizer
    average: Average
    options: UNetOptions

    def batch(self, shelf: Shelf, rows: int, generator: np.random.Generator) -> Batch:
        """Latents and conditioning of random pictures of one shape."""
        chosen = generator.integers(len(shelf.scenes), size=rows)
        tokens = []
        for number in shelf.scenes[chosen]:
            tags = caption(scene_number(self.options.scenes_seed, int(number)), generator)
            empty = generator.random() < self.options.dropped
            tokens.append(tokenized([] if empty else tags, generator if not empty else None))
        with torch.no_grad():
            states, pooled = self.encoders(*stacked(tokens))
        latents = torch.from_numpy(shelf.latents[chosen].astype(np.float32)).to(DEVICE)
        return latents, states, pooled

    def step(self, shelf: Shelf, rows: int, number: int) -> float:
        """One optimiser step; its weighted loss."""
        generator = np.random.default_rng((self.options.seed, number))
        latents, states, pooled = self.batch(shelf, rows, generator)
        torch.manual_seed(self.options.seed * 1_000_003 + number)
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate_at(number)
        emphasis = self.options.emphasis_at(number)
        loss = noise_loss(self.unet, shelf.size, latents, states, pooled, emphasis)
        self.optimizer.zero_grad()
        torch.autograd.backward([loss])
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(self.unet, number)
        return float(loss.item())


def train_unet(
    folder: Path,
    encoders: TextEncoders,
    small: list[Shelf],
    full: list[Shelf],
    options: UNetOptions,
) -> Any:  # noqa: ANN401 (diffusers' module)
    """The averaged UNet; goes on from what `folder` holds."""
    torch.manual_seed(options.seed)
    run, unet = Run(folder, "unet", options), unet_module(SDXL_DEMO).train()
    _begin_at_nothing(unet)
    unet.to(DEVICE)
    optimizer = torch.optim.AdamW(
        unet.parameters(), options.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    trainer = Trainer(unet, encoders, optimizer, Average(unet, options.average), options)
    losses: list[float] = []
    for number in range(_resume(run, trainer), options.total):
        early = number < options.small_steps
        shelves, rows = (small, options.small_batch) if early else (full, options.batch)
        shelf = shelves[int(np.random.default_rng((options.seed, number, 1)).integers(9))]
        losses.append(trainer.step(shelf, rows, number))
        if number % 25 == 0:
            run.log({"step": number, "loss": sum(losses[-25:]) / len(losses[-25:])})
        if run.due() or number + 1 == options.total:
            run.save(_state(trainer, number + 1))
    trainer.average.copy_to(unet)
    return unet.eval().requires_grad_(False)


@torch.no_grad()
def _begin_at_nothing(unet: Any) -> None:  # noqa: ANN401
    """Start with branches and an output that add nothing (Dhariwal and Nichol 2021)."""
    for name, parameter in unet.named_parameters():
        if name.endswith(("conv2.weight", "proj_out.weight", "conv_out.weight")):
            parameter.zero_()


def _state(trainer: Trainer, step: int) -> dict[str, Any]:
    return {
        "unet": trainer.unet.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "average": trainer.average.shadow,
        "step": step,
    }


def _resume(run: Run, trainer: Trainer) -> int:
    state = run.load()
    if state is None:
        return 0
    trainer.unet.load_state_dict(state["unet"])
    trainer.optimizer.load_state_dict(state["optimizer"])
    trainer.average.shadow.update(state["average"])
    return int(state["step"])
