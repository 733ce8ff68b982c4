"""ADetailer's arguments in `alwayson_scripts`, as passes of the detailer.

Source: Bing-su/adetailer, adetailer/args.py, and its wiki on the API: two switches, then one object
for each tab.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from sakuga.engine.errors import UsageError
from sakuga.engine.refine.detail import Detail, Merge, TopBy
from sakuga.engine.serve.stage_bodies import (
    MOST_DETAILS,
    Guidance,
    Pixels,
    Share,
    Shift,
    Side,
    Steps,
    Tool,
    Words,
)
from sakuga.engine.serve.strict import Strict

SCRIPT = "ADetailer"
_TOP_BY: Mapping[str, TopBy] = {"Area": "area", "Confidence": "confidence"}
_MERGE: Mapping[str, Merge] = {
    "None": "none",
    "Merge": "merge",
    "Merge and Invert": "merge and invert",
}
_NOT_HERE = {
    "ad_use_checkpoint": "another checkpoint",
    "ad_use_vae": "another VAE",
    "ad_use_clip_skip": "a clip skip of its own",
    "ad_use_noise_multiplier": "a noise multiplier",
    "ad_restore_face": "face restoration",
}


class AdetailerTab(Strict):
    """One tab, with ADetailer's names and defaults."""

    ad_model: Tool = "None"
    ad_model_classes: Words = ""
    ad_tab_enable: bool = True
    ad_prompt: Words = ""
    ad_negative_prompt: Words = ""
    ad_confidence: Share = 0.3
    ad_mask_filter_method: Literal["Area", "Confidence"] = "Area"
    ad_mask_k: Annotated[int, Field(ge=0, le=1000)] = 0
    ad_mask_k_largest: Annotated[int, Field(ge=0, le=1000)] = 0  # older versions' name
    ad_mask_min_ratio: Share = 0
    ad_mask_max_ratio: Share = 1
    ad_x_offset: Shift = 0
    ad_y_offset: Shift = 0
    ad_dilate_erode: Annotated[int, Field(ge=-256, le=256)] = 4
    ad_mask_merge_invert: Literal["None", "Merge", "Merge and Invert"] = "None"
    ad_mask_blur: Annotated[int, Field(ge=0, le=64)] = 4
    ad_denoising_strength: Share = 0.4
    ad_inpaint_only_masked: bool = True
    ad_inpaint_only_masked_padding: Pixels = 32
    ad_use_inpaint_width_height: bool = False
    ad_inpaint_width: Side = 512
    ad_inpaint_height: Side = 512
    ad_use_steps: bool = False
    ad_steps: Steps = 28
    ad_use_cfg_scale: bool = False
    ad_cfg_scale: Guidance = 7.0
    ad_use_sampler: bool = False
    ad_sampler: Tool = "DPM++ 2M Karras"
    ad_scheduler: Tool = "Use same scheduler"
    ad_use_checkpoint: bool = False
    ad_checkpoint: Any = None
    ad_use_vae: bool = False
    ad_vae: Any = None
    ad_use_noise_multiplier: bool = False
    ad_noise_multiplier: float = 1.0
    ad_use_clip_skip: bool = False
    ad_clip_skip: int = 1
    ad_restore_face: bool = False
    ad_controlnet_model: str = "None"
    ad_controlnet_module: str | None = None
    ad_controlnet_weight: float = 1.0
    ad_controlnet_guidance_start: float = 0.0
    ad_controlnet_guidance_end: float = 1.0
    is_api: Any = True

    def detail(self) -> Detail:
        """The pass. Raises UsageError for what this server does not do."""
        self._check()
        own_size, scheduler = self.ad_use_inpaint_width_height, self.ad_scheduler
        own_sampler = self.ad_use_sampler and self.ad_sampler != "Use same sampler"
        sampler = self.ad_sampler if own_sampler else None
        schedule = None if scheduler == "Use same scheduler" else scheduler
        classes = tuple(each.strip() for each in self.ad_model_classes.split(",") if each.strip())
        return Detail(
            model=self.ad_model,
            prompt=self.ad_prompt,
            negative_prompt=self.ad_negative_prompt,
            classes=classes,
            confidence=self.ad_confidence,
            top_by=_TOP_BY[self.ad_mask_filter_method],
            top_k=self.ad_mask_k or self.ad_mask_k_largest,
            min_ratio=self.ad_mask_min_ratio,
            max_ratio=self.ad_mask_max_ratio,
            x_offset=self.ad_x_offset,
            y_offset=self.ad_y_offset,
            dilate=self.ad_dilate_erode,
            merge=_MERGE[self.ad_mask_merge_invert],
            blur=self.ad_mask_blur,
            strength=self.ad_denoising_strength,
            only_masked=self.ad_inpaint_only_masked,
            padding=self.ad_inpaint_only_masked_padding,
            width=self.ad_inpaint_width if own_size else None,
            height=self.ad_inpaint_height if own_size else None,
            steps=self.ad_steps if self.ad_use_steps else None,
            guidance=self.ad_cfg_scale if self.ad_use_cfg_scale else None,
            sampler=sampler,
            schedule=schedule if sampler is not None else None,
        )

    def _check(self) -> None:
        for name, what in _NOT_HERE.items():
            if getattr(self, name):
                raise _refused(name, what)
        if self.ad_controlnet_model not in ("None", "Passthrough"):
            raise _refused("ad_controlnet_model", "ControlNet")


def details_in(scripts: Mapping[str, Any] | None) -> tuple[Detail, ...]:
    """The passes that `alwayson_scripts` asks for. Raises UsageError for any other script."""
    found: list[Detail] = []
    for name, script in (scripts or {}).items():
        if name.casefold() != SCRIPT.casefold():
            raise UsageError(
                f"alwayson_scripts: this server has no script {name[:80]!r}.",
                hint=f"It has {SCRIPT} alone; leave the other out.",
            )
        arguments = script.get("args", []) if isinstance(script, dict) else script
        found += _read(arguments)
    if len(found) > MOST_DETAILS:
        raise UsageError(f"{SCRIPT} has {len(found)} tabs.", hint=f"Use at most {MOST_DETAILS}.")
    return tuple(found)


def _read(arguments: Any) -> Iterator[Detail]:  # noqa: ANN401 (whatever was sent)
    if not isinstance(arguments, list):
        raise UsageError(f"{SCRIPT}: args is no list.", hint="Send switches and one object a tab.")
    if False in arguments[:1]:
        return
    if arguments[1:2] == [True]:
        raise _refused("skip_img2img", "a detailer without its image to image")
    for number, argument in enumerate(each for each in arguments if not isinstance(each, bool)):
        try:
            tab = AdetailerTab.model_validate(argument)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise UsageError(f"{SCRIPT}, tab {number + 1}: {where}: {fault['msg']}.") from error
        if tab.ad_tab_enable and tab.ad_model != "None":
            yield tab.detail()


def _refused(name: str, what: str) -> UsageError:
    return UsageError(f"{name}: this server does not do {what}.", hint=f"Leave {name} out.")
