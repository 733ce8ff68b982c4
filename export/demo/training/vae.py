"""Stage 1: the VAE, on 96-pixel crops.

L1 plus L1 of the gradients plus a little KL (Rombach et al. 2022, arXiv:2112.10752, without the
discriminator). Afterwards the latent is whitened: mean and spread of each channel go into the
1x1 convolutions around it, so that SDXL's scaling factor 0.13025 gives latents of spread 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sakuga.export.demo.training.cache import cached
from sakuga.export.demo.training.device import DEVICE, half_precision
from sakuga.export.demo.training.pictures import CROP, crops
from sakuga.export.demo.training.progress import Run, cosine
from sakuga.export.reference import vae_module
from sakuga.profiles.families import LATENT_CHANNELS, SDXL_DEMO

TRAINED = 96


@dataclass(frozen=True)
class VAEOptions:
    """`pictures` painted; `steps` of `batch` crops; learning rate; weight of the KL term."""

    pictures: int = 3000
    steps: int = 2700
    batch: int = 8
    rate: float = 2e-3
    kl: float = 1e-4
    seed: int = 1


def train_vae(folder: Path, options: VAEOptions) -> Any:  # noqa: ANN401 (diffusers' module)
    """The trained, whitened AutoencoderKL; goes on from what `folder` holds."""
    torch.manual_seed(options.seed)
    run, vae = Run(folder, "vae", options), vae_module(SDXL_DEMO).train()
    _begin_at_nothing(vae)
    vae.to(DEVICE)
    optimizer = torch.optim.AdamW(vae.parameters(), options.rate, betas=(0.9, 0.99))
    start = 0
    if state := run.load():
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    if start < options.steps:
        data = _cached_crops(folder, options)
        for step in range(start, options.steps):
            _step(vae, optimizer, data, step, options, run)
            if run.due() or step + 1 == options.steps:
                state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict()}
                run.save(state | {"step": step + 1})
    vae.eval().requires_grad_(False)
    whiten(vae, _cached_crops(folder, options)[:: max(options.pictures // 300, 1)])
    return vae


@torch.no_grad()
def _begin_at_nothing(vae: Any) -> None:  # noqa: ANN401
    """Start with branches that add nothing, orthogonal convolutions and little sampling noise.

    From the usual start so deep a network stays at a blur of 16 dB for hundreds of steps.
    """
    for name, parameter in vae.named_parameters():
        if name.endswith(("conv2.weight", "conv2.bias", "to_out.0.weight", "to_out.0.bias")):
            parameter.zero_()
        elif "conv" in name and parameter.ndim == 4:
            torch.nn.init.orthogonal_(parameter)
    vae.quant_conv.weight[LATENT_CHANNELS:] *= 0.1
    vae.quant_conv.bias[LATENT_CHANNELS:] = -6


def _cached_crops(folder: Path, options: VAEOptions) -> NDArray[np.uint8]:
    """Painted once; by name those of this seed."""
    path = folder / f"crops-{options.seed}-{options.pictures}.npy"
    return cached(path, lambda: crops(options.seed, options.pictures))


def _step(
    vae: Any,  # noqa: ANN401
    optimizer: torch.optim.Optimizer,
    data: NDArray[np.uint8],
    step: int,
    options: VAEOptions,
    run: Run,
) -> None:
    generator = np.random.default_rng((options.seed, step, 2))
    chosen = np.sort(generator.integers(len(data), size=options.batch))
    images = to_network(_cut(data[chosen], generator))
    if generator.random() < 0.5:
        images = images.flip(-1)
    for group in optimizer.param_groups:
        group["lr"] = options.rate * cosine(step, options.steps)
    torch.manual_seed(options.seed * 1_000_003 + step)  # a resumed run draws on, not again
    with half_precision():
        posterior = vae.encode(images).latent_dist
        decoded = vae.decode(posterior.sample()).sample
    decoded = decoded.float()
    loss = functional.l1_loss(decoded, images) + 0.5 * _gradient_loss(decoded, images)
    loss = loss + options.kl * posterior.kl().float().mean() / images[0, 0].numel() * 64
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
    optimizer.step()
    if step % 50 == 0:
        error = functional.mse_loss(decoded.detach(), images)
        run.log({"step": step, "loss": loss.item(), "psnr": 6.02 - 10 * error.log10().item()})


def _cut(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """Smaller crops, at a place that shifts from step to step."""
    top, left = generator.integers(CROP - TRAINED + 1, size=2)
    return images[:, top : top + TRAINED, left : left + TRAINED]


def _gradient_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    across = functional.l1_loss(a.diff(dim=-1), b.diff(dim=-1))
    return across + functional.l1_loss(a.diff(dim=-2), b.diff(dim=-2))


def to_network(images: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [n, h, w, 3] to float32 [n, 3, h, w] in [-1, 1], where training runs."""
    array = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(array).to(DEVICE).float() / 127.5 - 1


@torch.no_grad()
def latent_means(vae: Any, images: NDArray[np.uint8]) -> torch.Tensor:  # noqa: ANN401
    """Latents of pictures uint8 [n, h, w, 3], not yet scaled, float32 [n, 4, h / 8, w / 8]."""
    parts = (images[i : i + 16] for i in range(0, len(images), 16))
    return torch.cat([vae.encode(to_network(part)).latent_dist.mean for part in parts])


@torch.no_grad()
def whiten(vae: Any, images: NDArray[np.uint8]) -> None:  # noqa: ANN401
    """Fold mean and spread of the latent channels into the convolutions around the latent."""
    means = latent_means(vae, images)
    mean = means.mean((0, 2, 3))
    scale = means.std((0, 2, 3)) * SDXL_DEMO.vae.scaling_factor
    into, out, n = vae.quant_conv, vae.post_quant_conv, LATENT_CHANNELS
    # out(z) = W z + b with z = scale * z' + mean
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= scale[None, :, None, None]
    into.weight[:n] /= scale[:, None, None, None]
    into.bias[:n] = (into.bias[:n] - mean) / scale
    into.bias[n:] -= 2 * scale.log()
