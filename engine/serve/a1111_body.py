"""A1111's txt2img request: its fields and defaults, and which of them Sakuga follows.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/api/models.py, and the `/docs` of a running
one: steps 50, cfg_scale 7, 512x512, seeds -1.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sakuga.engine.errors import UsageError
from sakuga.engine.runtime.request import Request
from sakuga.engine.sampling.samplers import SAMPLERS, find_sampler
from sakuga.engine.serve.native import Name, Prompt, Seed
from sakuga.profiles.buckets import Size

Count = Annotated[int, Field(ge=1, le=16)]
Side = Annotated[int, Field(ge=0, le=1 << 14)]
Number = Annotated[float, Field(ge=0, le=1e6)]

# What A1111 could be asked beyond this server, and the values that ask for nothing.
_NOT_HERE: dict[str, tuple[tuple[Any, ...], str]] = {
    "enable_hr": ((False, None), "the hires pass"),
    "restore_faces": ((False, None), "face restoration"),
    "tiling": ((False, None), "tiling pictures"),
    "styles": (([], None), "styles"),
    "script_name": (("", None), "scripts"),
    "alwayson_scripts": (({}, None), "extensions' scripts"),
    "refiner_checkpoint": (("", None), "a refiner"),
    "s_churn": ((0, None), "churn"),
    "s_min_uncond": ((0, None), "negative guidance minimum sigma"),
    "comments": (({}, None), "comments"),
    "infotext": (("", None), "settings in one text"),
}
_KEPT_VAE = ("Automatic", "None", None)


class Overrides(BaseModel):
    """The settings of A1111 that a request may say for itself."""

    model_config = ConfigDict(extra="forbid")

    sd_model_checkpoint: Name | None = None
    CLIP_stop_at_last_layers: Annotated[int, Field(ge=1, le=100)] | None = None
    eta_noise_seed_delta: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    randn_source: Name | None = None
    emphasis: Name | None = None
    pad_cond_uncond: bool = False
    sd_vae: Name | None = None


class Txt2ImgBody(BaseModel):
    """Fields of the hires pass and of things that are off are taken and not looked at."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    seed: Seed = -1
    subseed: Seed = -1
    subseed_strength: Annotated[float, Field(ge=0, le=1)] = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: Name | None = None
    sampler_index: Name | None = None
    scheduler: Name | None = None
    batch_size: Count = 1
    n_iter: Count = 1
    steps: Annotated[int, Field(ge=1, le=1000)] = 50
    cfg_scale: Annotated[float, Field(ge=0, le=100)] = 7.0
    width: Side = 512
    height: Side = 512
    eta: Number | None = None
    s_noise: Number | None = None
    override_settings: Overrides | None = None
    send_images: bool = True
    force_task_id: Name | None = None

    enable_hr: bool | None = False
    restore_faces: bool | None = None
    tiling: bool | None = None
    styles: list[str] | None = None
    script_name: Name | None = None
    alwayson_scripts: dict[str, Any] | None = None
    refiner_checkpoint: Name | None = None
    s_churn: float | None = None
    s_min_uncond: float | None = None
    comments: dict[str, Any] | None = None
    infotext: Prompt | None = None

    override_settings_restore_afterwards: bool = True
    save_images: bool = False
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    script_args: list[Any] | None = None
    s_tmax: float | None = None
    s_tmin: float | None = None
    refiner_switch_at: float | None = None
    disable_extra_networks: bool = False
    denoising_strength: float | None = None
    firstpass_image: str | None = None
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: Name | None = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: Name | None = None
    hr_sampler_name: Name | None = None
    hr_scheduler: Name | None = None
    hr_prompt: Prompt = ""
    hr_negative_prompt: Prompt = ""

    def request(self, clip_skip: int | None) -> Request:
        """The first picture's request; the others are its `times`. `clip_skip`: where no override
        says it. Raises UsageError for what this server does not do."""
        self._check()
        overrides = self.override_settings or Overrides()
        name = self.sampler_name or self.sampler_index or "Euler a"
        sampler = SAMPLERS[find_sampler(name)[0]]
        varied = bool(self.subseed_strength)
        return Request(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            width=self.width,
            height=self.height,
            steps=self.steps,
            guidance=self.cfg_scale,
            sampler=name,
            schedule=self.scheduler,
            seed=self.seed,
            variation_seed=self.subseed if varied else None,
            variation_strength=self.subseed_strength if varied else None,
            seed_resize=self._seed_resize(),
            # A1111 ignores both where the sampler has no use for them.
            eta=self.eta if sampler.eta is not None else None,
            s_noise=self.s_noise if sampler.draws or sampler.eta else None,
            ensd=overrides.eta_noise_seed_delta,
            clip_skip=overrides.CLIP_stop_at_last_layers or clip_skip,
            rng=overrides.randn_source,
            emphasis=overrides.emphasis,
            pad_conds=overrides.pad_cond_uncond,
            prefix="none",
        )

    def _check(self) -> None:
        for name, (off, what) in _NOT_HERE.items():
            if getattr(self, name) not in off:
                raise UsageError(
                    f"{name}: this server does not do {what}.",
                    hint=f"Leave {name} out.",
                )

        if self.override_settings and self.override_settings.sd_vae not in _KEPT_VAE:
            raise UsageError(
                "override_settings: a bundle has the VAE it was built with.",
                hint="Build another bundle with --vae FILE, and serve it as well.",
            )

    def _seed_resize(self) -> Size | None:
        width, height = self.seed_resize_from_w, self.seed_resize_from_h
        return Size(width, height) if width > 0 and height > 0 else None
