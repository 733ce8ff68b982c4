"""Synthetic checkpoints: loadable by diffusers, sane inside, the same whatever the layout."""

import hashlib
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import (
    StableDiffusionXLPipeline,
)
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler
from safetensors import safe_open
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from sakuga.engine.errors import UsageError
from sakuga.export import synthetic
from sakuga.export.checkpoint.layouts import open_checkpoint
from sakuga.export.synthetic import write_synthetic
from sakuga.export.synthetic_weights import deviation, draw
from sakuga.profiles.families import SD15_TINY, SDXL, SDXL_TINY, Family
from sakuga.profiles.weights import weights

TINY = [SDXL_TINY, SD15_TINY]
PROMPTS = ((320, 1125, 539, 2368), (7065, 267, 18, 30, 1449))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    for family in TINY:
        write_synthetic(family, "diffusers", "fp32", 0, folder / family.name)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Networks:
    """A folder's networks as diffusers and transformers load them, with a latent to try."""

    def __init__(self, folder: Path, family: Family) -> None:
        self.family = family
        self.unet: Any = UNet2DConditionModel.from_pretrained(folder / "unet")
        self.vae: Any = AutoencoderKL.from_pretrained(folder / "vae")
        self.first: Any = CLIPTextModel.from_pretrained(folder / "text_encoder")
        if family.kind == "sdxl":
            second = folder / "text_encoder_2"
            self.second: Any = CLIPTextModelWithProjection.from_pretrained(second)
        side = family.buckets[0].height // 8
        self.latent = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(1))

    def noise(
        self, prompt: tuple[int, ...], size: tuple[int, int] = (256, 256), timestep: int = 500
    ) -> torch.Tensor:
        ids = torch.tensor([[49406, *prompt, *[49407] * (76 - len(prompt))]])
        with torch.no_grad():
            first = self.first(ids, output_hidden_states=True)
            if self.family.kind == "sd15":
                return self.unet(self.latent, timestep, first.last_hidden_state).sample
            second = self.second(ids, output_hidden_states=True)
            context = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], -1)
            added = {
                "text_embeds": second.text_embeds,
                "time_ids": torch.tensor([[*size, 0, 0, *size]], dtype=torch.float32),
            }
            call = self.unet(self.latent, timestep, context, added_cond_kwargs=added)
            return call.sample


@pytest.fixture(scope="module", params=TINY, ids=lambda family: family.name)
def networks(request: pytest.FixtureRequest, made: Path) -> Networks:
    family: Family = request.param
    return Networks(made / family.name, family)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / a.norm())


def test_prediction_is_of_the_size_of_its_noise(networks: Networks) -> None:
    for timestep in (1, 500, 999):
        noise = networks.noise(PROMPTS[0], timestep=timestep)
        assert bool(noise.isfinite().all())
        assert 0.3 < float(noise.std()) < 3


def test_prediction_listens_to_prompt_and_timestep(networks: Networks) -> None:
    noise = networks.noise(PROMPTS[0])
    assert relative(noise, networks.noise(PROMPTS[1])) > 0.1
    assert relative(noise, networks.noise(PROMPTS[0], timestep=1)) > 0.02


def test_sdxl_listens_to_time_ids(made: Path) -> None:
    networks = Networks(made / "sdxl-tiny", SDXL_TINY)
    other = networks.noise(PROMPTS[0], (192, 352))
    assert relative(networks.noise(PROMPTS[0]), other) > 0.02


def test_activations_fit_half_precision(networks: Networks) -> None:
    peaks: list[float] = []

    def note(module: torch.nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            peaks.append(float(output.abs().max()))

    hooks = [module.register_forward_hook(note) for module in networks.unet.modules()]
    networks.noise(PROMPTS[0])
    for hook in hooks:
        hook.remove()
    assert max(peaks) < 1000


def test_decoded_noise_is_a_picture(networks: Networks) -> None:
    with torch.no_grad():
        picture = networks.vae.decode(networks.latent / networks.vae.config.scaling_factor).sample
        moments = networks.vae.encode(picture.clamp(-1, 1)).latent_dist
    assert float((picture.abs() <= 1).float().mean()) > 0.95
    assert 0.2 < float(picture.std()) < 0.6
    assert abs(float(picture.mean())) < 0.2
    assert 0.1 < float(moments.mean.std()) < 3
    assert bool(moments.logvar.isfinite().all())


@pytest.mark.parametrize(
    ("family", "pipeline"),
    [(SDXL_TINY, StableDiffusionXLPipeline), (SD15_TINY, StableDiffusionPipeline)],
    ids=["sdxl", "sd15"],
)
def test_pipelines_load_the_folder(
    made: Path, family: Family, pipeline: type[StableDiffusionPipeline]
) -> None:
    tokenizers: dict[str, None] = {"tokenizer": None}
    if family.kind == "sdxl":
        tokenizers["tokenizer_2"] = None
    loaded: Any = pipeline.from_pretrained(made / family.name, **tokenizers)
    assert isinstance(loaded.scheduler, EulerDiscreteScheduler)
    assert loaded.scheduler.config["timestep_spacing"] == "leading"
    assert loaded.vae.config.scaling_factor == family.vae.scaling_factor
    ours = weights(family)
    for component, shapes in ours.items():
        state = getattr(loaded, component).state_dict()
        assert sum(tensor.numel() for tensor in state.values()) == sum(
            int(np.prod(shape)) for shape in shapes.values()
        )


def test_loaded_weights_are_those_drawn(networks: Networks) -> None:
    name = "mid_block.resnets.0.conv1.weight"
    shape = weights(networks.family)["unet"][name]
    found = networks.unet.state_dict()[name].numpy()
    np.testing.assert_array_equal(found, draw(0, "unet", name, shape))


@pytest.mark.parametrize("family", TINY, ids=lambda family: family.name)
def test_half_precision_rounds_the_same_weights(made: Path, tmp_path: Path, family: Family) -> None:
    write_synthetic(family, "single", "fp16", 0, tmp_path / "half.safetensors")
    with (
        open_checkpoint(tmp_path / "half.safetensors") as half,
        open_checkpoint(made / family.name) as single,
    ):
        for part, component in half.components.items():
            for name in component.names():
                expected = single.components[part].read(name).astype(np.float16)
                np.testing.assert_array_equal(component.read(name), expected, err_msg=name)


def test_single_file_is_what_the_library_reads(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_synthetic(SDXL_TINY, "single", "fp16", 0, path)
    with safe_open(path, "np") as file:
        ids = "conditioner.embedders.0.transformer.text_model.embeddings.position_ids"
        np.testing.assert_array_equal(file.get_tensor(ids), np.arange(77)[None])
        fused = "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight"
        assert file.get_slice(fused).get_shape() == [192, 64]
        assert len(file.keys()) == len(set(file.keys()))
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert length % 8 == 0


def test_the_seed_decides(tmp_path: Path) -> None:
    digests: list[bytes] = []
    for number, seed in enumerate((0, 0, 1)):
        path = tmp_path / f"{number}.safetensors"
        write_synthetic(SD15_TINY, "single", "fp16", seed, path)
        digests.append(hashlib.sha256(path.read_bytes()).digest())
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("layout", ["single", "diffusers"])
def test_a_failed_write_leaves_the_old_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: synthetic.Layout
) -> None:
    out = tmp_path / "model"
    write_synthetic(SD15_TINY, layout, "fp16", 0, out)
    before = contents(tmp_path)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic(SD15_TINY, layout, "fp16", 1, out)
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_again_replaces(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_synthetic(SD15_TINY, "diffusers", "fp16", seed, tmp_path / "model")
    with open_checkpoint(tmp_path / "model") as checkpoint:
        found = checkpoint.components["unet"].read("conv_in.weight")
    expected = draw(1, "unet", "conv_in.weight", (32, 4, 3, 3)).astype(np.float16)
    np.testing.assert_array_equal(found, expected)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("layout", ["single", "diffusers"])
def test_a_folder_that_is_no_checkpoint_is_never_replaced(
    tmp_path: Path, layout: synthetic.Layout
) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to a friend.txt").write_text("dear")
    with pytest.raises(UsageError, match="letters exists and is no"):
        write_synthetic(SD15_TINY, layout, "fp16", 0, tmp_path / "letters")
    assert list(contents(tmp_path).values()) == [b"dear"]


@pytest.mark.parametrize("component", ["text_encoder_2", "unet", "vae"])
def test_drawn_spread_is_the_one_asked_for(component: str) -> None:
    for name, shape in weights(SDXL_TINY)[component].items():
        array = draw(0, component, name, shape)
        assert array.dtype == np.float32
        if array.size > 2000:
            assert array.std() == pytest.approx(deviation(component, name, shape), rel=0.1)
            assert abs(array.mean()) < 4 * array.std() / array.size**0.5


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "new" / "m.safetensors"
    arguments = ["--family", "sd15", "--scale", "tiny", "--layout", "single", "--dtype", "fp32"]
    run = CliRunner().invoke(synthetic.main, [*arguments, "--seed", "3", "--out", str(out)])
    assert (run.exit_code, run.output.strip()) == (0, str(out))
    with open_checkpoint(out) as checkpoint:
        assert checkpoint.family == SD15_TINY
        assert checkpoint.components["vae"].dtype("quant_conv.bias") == "F32"


def test_module_runs_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys, sakuga.export.synthetic, sakuga.export.checkpoint.layouts;"
        "print(sorted({'torch', 'diffusers', 'transformers', 'onnx', 'safetensors'}"
        " & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.slow
def test_full_size_file_takes_little_memory(tmp_path: Path) -> None:
    out = tmp_path / "full.safetensors"
    code = (
        "import resource, sys; from pathlib import Path;"
        "from sakuga.export.synthetic import write_synthetic;"
        "from sakuga.profiles.families import SDXL;"
        "write_synthetic(SDXL, 'single', 'fp16', 0, Path(sys.argv[1]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(out)], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 2**20  # KiB
    assert 6.93e9 < out.stat().st_size < 6.95e9
    with open_checkpoint(out) as checkpoint:
        assert checkpoint.family == SDXL
        assert checkpoint.unknown == ()
    out.unlink()  # pytest keeps the folders of its last runs
