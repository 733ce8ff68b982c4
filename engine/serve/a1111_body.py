"""A1111's requests for pictures: their fields and defaults, and which of them Sakuga follows.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/api/models.py, and the `/docs` of a running
one: steps 50, cfg_scale 7, 512x512, seeds -1.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.fill import Fill
from sakuga.engine.refine.latents import LATENT_UPSCALERS
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Resize, Stage
from sakuga.engine.sampling.samplers import SAMPLERS, find_sampler
from sakuga.engine.serve.a1111_adetailer import details_in
from sakuga.engine.serve.native import Name, Prompt, Seed
from sakuga.engine.serve.sent import picture_in
from sakuga.engine.serve.strict import Strict
from sakuga.profiles.buckets import Size

Count = Annotated[int, Field(ge=1, le=16)]
Side = Annotated[int, Field(ge=0, le=1 << 14)]
Number = Annotated[float, Field(ge=0, le=1e6)]

# What A1111 could be asked beyond this server, and the values that ask for nothing.
_NOT_HERE: dict[str, tuple[tuple[Any, ...], str]] = {
    "restore_faces": ((False, None), "face restoration"),
    "tiling": ((False, None), "tiling pictures"),
    "styles": (([], None), "styles"),
    "script_name": (("", None), "scripts"),
    "hr_checkpoint_name": (("", "Use same checkpoint", None), "a hires pass of another checkpoint"),
    "refiner_checkpoint": (("", None), "a refiner"),
    "s_churn": ((0, None), "churn"),
    "s_min_uncond": ((0, None), "negative guidance minimum sigma"),
    "comments": (({}, None), "comments"),
    "infotext": (("", None), "settings in one text"),
}
_SAME = ("", "Use same sampler", "Use same scheduler", None)
_RESIZES: tuple[Resize, ...] = ("stretch", "crop", "fill", "latent")
_FILLS = (Fill.FILL, Fill.ORIGINAL, Fill.NOISE, Fill.NOTHING)
_KEPT_VAE = ("Automatic", "None", None)


class Overrides(Strict):
    """The settings of A1111 that a request may say for itself."""

    sd_model_checkpoint: Name | None = None
    CLIP_stop_at_last_layers: Annotated[int, Field(ge=1, le=100)] | None = None
    eta_noise_seed_delta: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    randn_source: Name | None = None
    emphasis: Name | None = None
    pad_cond_uncond: bool = False
    sd_vae: Name | None = None


class PictureBody(Strict):
    """What all requests for pictures have. Fields of things that are off are taken and not looked
    at."""

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

    def plain(self, clip_skip: int | None) -> Request:
        """The first picture's request without what it begins from and without stages; the others
        are its `times`. `clip_skip`: where no override says it. Raises UsageError for what this
        server does not do."""
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
            if getattr(self, name, None) not in off:
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


class Txt2ImgBody(PictureBody):
    """Of a prompt, with a hires pass or without."""

    denoising_strength: Annotated[float, Field(ge=0, le=1)] | None = None
    enable_hr: bool | None = False
    firstpass_image: str | None = None
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: Annotated[float, Field(ge=1, le=8)] = 2.0
    hr_upscaler: Name | None = None
    hr_second_pass_steps: Annotated[int, Field(ge=0, le=1000)] = 0
    hr_resize_x: Side = 0
    hr_resize_y: Side = 0
    hr_checkpoint_name: Name | None = None
    hr_sampler_name: Name | None = None
    hr_scheduler: Name | None = None
    hr_prompt: Prompt = ""
    hr_negative_prompt: Prompt = ""
    hr_cfg: Annotated[float, Field(ge=0, le=100)] | None = None

    def request(self, clip_skip: int | None) -> Request:
        """The first picture's request. Raises UsageError."""
        stages: tuple[Stage, ...] = (*self._hires(), *details_in(self.alwayson_scripts))
        return replace(self.plain(clip_skip), stages=stages)

    def _hires(self) -> tuple[Hires, ...]:
        if not self.enable_hr:
            return ()
        sized = self.hr_resize_x > 0 or self.hr_resize_y > 0
        sampler = None if self.hr_sampler_name in _SAME else self.hr_sampler_name
        schedule = None if self.hr_scheduler in _SAME else self.hr_scheduler
        return (
            Hires(
                scale=None if sized else self.hr_scale,
                size=self._hires_size() if sized else None,
                upscaler=upscaler_called(self.hr_upscaler or "Latent"),
                strength=0.75 if self.denoising_strength is None else self.denoising_strength,
                steps=self.hr_second_pass_steps or None,
                guidance=self.hr_cfg,
                sampler=sampler,
                schedule=schedule,
                prompt=self.hr_prompt or None,
                negative_prompt=self.hr_negative_prompt or None,
            ),
        )

    def _hires_size(self) -> Size:
        """A side that is 0 follows the other."""
        width = self.hr_resize_x or self.hr_resize_y * self.width // max(self.height, 1)
        height = self.hr_resize_y or self.hr_resize_x * self.height // max(self.width, 1)
        return Size(width, height)


class Img2ImgBody(PictureBody):
    """Of a picture, with a mask or without."""

    init_images: Annotated[list[str], Field(max_length=16)] | None = None
    resize_mode: Annotated[int, Field(ge=0, le=3)] = 0
    denoising_strength: Annotated[float, Field(ge=0, le=1)] = 0.75
    image_cfg_scale: float | None = None
    mask: str | None = None
    mask_blur: Annotated[float, Field(ge=0, le=256)] | None = None
    mask_blur_x: Annotated[float, Field(ge=0, le=256)] = 4
    mask_blur_y: Annotated[float, Field(ge=0, le=256)] = 4
    mask_round: bool = True
    inpainting_fill: Annotated[int, Field(ge=0, le=3)] = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: Annotated[int, Field(ge=0, le=4096)] = 0
    inpainting_mask_invert: Annotated[int, Field(ge=0, le=1)] = 0
    initial_noise_multiplier: float | None = None
    latent_mask: str | None = None
    include_init_images: bool = False

    def request(self, clip_skip: int | None) -> Request:
        """The first picture's request. Raises UsageError, PictureFileError."""
        return replace(
            self.plain(clip_skip),
            init=self._init(),
            stages=details_in(self.alwayson_scripts),
        )

    def _init(self) -> Init:
        if self.initial_noise_multiplier not in (None, 1):
            raise UsageError("initial_noise_multiplier: noise is not scaled here.", hint="Say 1.")
        if self.latent_mask is not None:
            raise UsageError("latent_mask is not here.", hint="Use mask.")
        images = self.init_images or []
        if len(images) != 1:
            raise UsageError(
                f"init_images has {len(images)} pictures.", hint="Send one in a request."
            )
        picture = picture_in(images[0], "init_images")
        mask = None if self.mask is None else self._mask(self.mask)
        return Init(picture, self.denoising_strength, _RESIZES[self.resize_mode], mask)

    def _mask(self, picture: str) -> Mask:
        blur = self.mask_blur if self.mask_blur is not None else self.mask_blur_x
        if self.mask_blur is None and self.mask_blur_x != self.mask_blur_y:
            raise UsageError("mask_blur_x and mask_blur_y must be the same here.")
        return Mask(
            picture_in(picture, "mask"),
            blur=blur,
            invert=bool(self.inpainting_mask_invert),
            fill=_FILLS[self.inpainting_fill],
            area="masked" if self.inpaint_full_res else "whole",
            padding=self.inpaint_full_res_padding,
            soft=not self.mask_round,
        )


def upscaler_called(name: str) -> str:
    """Of A1111's names: those of latents in Sakuga's spelling, any other as it is."""
    latent = {how.label: key for key, how in LATENT_UPSCALERS.items()}
    return latent.get(name, "lanczos" if name == "None" else name)
