"""A1111's client, unmodified: pictures of pictures, in several passes, and enlarged."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
import webuiapi
from hand_made_upscalers import scene
from PIL import Image

from sakuga.engine.engine import Engine
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask
from sakuga.profiles.buckets import Size

CLIENT: Any = webuiapi  # whose annotations are not what it takes
SMALL = {"width": 128, "height": 128, "steps": 3, "seed": 9}
PICTURE = Image.fromarray(scene(160, 128))
MASK = Image.new("L", (128, 160))
MASK.paste(255, (30, 40, 90, 100))


@pytest.fixture
def api(client: httpx.Client) -> Any:  # noqa: ANN401
    return webuiapi.WebUIApi(port=client.base_url.port or 80, sampler="Euler a", steps=3)


def file_of(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def asked(**more: Any) -> Request:  # noqa: ANN401
    """As that client asks."""
    return Request("hat", "", **SMALL, guidance=7.0, sampler="Euler a", schedule="automatic",
                   eta=1.0, s_noise=1.0, prefix="none", **more)  # fmt: skip


def same(found: Any, engine: Engine, request: Request) -> None:  # noqa: ANN401
    expected = engine.render(request)
    assert found.image.convert("RGB").tobytes() == expected.pixels.tobytes()
    assert found.info["infotexts"] == [expected.parameters]


def test_image_to_image(api: Any, equipped: Engine) -> None:  # noqa: ANN401
    found = api.img2img([PICTURE], prompt="hat", resize_mode=1, denoising_strength=0.6, **SMALL)
    init = Init(Source.of(file_of(PICTURE)), 0.6, "crop")
    same(found, equipped, asked(init=init))
    assert found.info["denoising_strength"] == 0.6 and found.parameters["init_images"] is None


def test_inpainting(api: Any, equipped: Engine) -> None:  # noqa: ANN401
    found = api.img2img(
        [PICTURE], prompt="hat", mask_image=MASK, mask_blur=3, inpainting_fill=2,
        inpaint_full_res_padding=16, inpainting_mask_invert=0, include_init_images=True, **SMALL,
    )  # fmt: skip
    mask = Mask(Source.of(file_of(MASK)), 3, fill="noise", area="masked", padding=16)  # type: ignore[arg-type]
    same(found, equipped, asked(init=Init(Source.of(file_of(PICTURE)), mask=mask)))
    assert np.array_equal(np.asarray(found.image.convert("RGB"))[:10], scene(160, 128)[:10])
    assert found.parameters["init_images"] and found.parameters["mask"]


def test_hires_pass(api: Any, equipped: Engine) -> None:  # noqa: ANN401
    found = api.txt2img(
        prompt="hat", enable_hr=True, hr_scale=1.25, denoising_strength=0.5, hr_second_pass_steps=2,
        hr_upscaler=webuiapi.HiResUpscaler.LatentNearestExact, hr_prompt="sea", **SMALL,
    )  # fmt: skip
    hires = Hires(1.25, upscaler="latent-nearest-exact", strength=0.5, steps=2, prompt="sea")
    same(found, equipped, asked(stages=(hires,)))
    assert found.image.size == (160, 160)
    sized = api.txt2img(
        prompt="hat", enable_hr=True, hr_resize_x=160, hr_resize_y=160, denoising_strength=0.5,
        hr_upscaler="sharp", **SMALL,
    )  # fmt: skip
    hires = Hires(size=Size(160, 160), upscaler="sharp", strength=0.5)
    same(sized, equipped, asked(stages=(hires,)))
    cut = api.txt2img(
        prompt="hat", enable_hr=True, hr_resize_x=160, hr_resize_y=128, denoising_strength=0.5,
        **SMALL,
    )  # fmt: skip
    same(cut, equipped, asked(stages=(Hires(size=Size(160, 128), strength=0.5),)))
    assert cut.image.size == (160, 128)


def test_adetailer(api: Any, equipped: Engine) -> None:  # noqa: ANN401
    tab = CLIENT.ADetailer(
        ad_model="face_yolov8n.pt", ad_prompt="smile", ad_denoising_strength=0.5, ad_use_steps=True,
        ad_steps=4, ad_mask_k_largest=1,
    )  # fmt: skip
    off = webuiapi.ADetailer(ad_model="None")
    detail = Detail("face_yolov8n.pt", "smile", strength=0.5, steps=4, top_k=1)
    assert api.has_adetailer
    found = api.txt2img(prompt="hat", adetailer=[tab, off], alwayson_scripts={}, **SMALL)
    same(found, equipped, asked(stages=(detail,)))
    found = api.img2img(
        [PICTURE], prompt="hat", denoising_strength=0.3, adetailer=[tab], alwayson_scripts={},
        **SMALL,
    )  # fmt: skip
    init = Init(Source.of(file_of(PICTURE)), 0.3)
    same(found, equipped, asked(init=init, stages=(detail,)))
    plain = api.txt2img(prompt="hat", alwayson_scripts={}, **SMALL)  # args [False]
    same(plain, equipped, asked())


def test_extras(api: Any, equipped: Engine) -> None:  # noqa: ANN401
    found = api.extra_single_image(PICTURE, upscaler_1="sharp", upscaling_resize=1.5)
    expected = equipped.upscale(scene(160, 128), "sharp", Size(192, 240)).result()
    assert found.image.convert("RGB").tobytes() == expected.tobytes()
    assert found.image.info["parameters"] == found.info == (
        "Postprocess upscale by: 1.5, Postprocess upscaler: sharp"
    )  # fmt: skip
    as_it_is = api.extra_single_image(PICTURE, upscaler_1="None")
    assert as_it_is.image.convert("RGB").tobytes() == PICTURE.tobytes()
    both = api.extra_batch_images(
        [PICTURE, PICTURE.rotate(90, expand=True)], upscaler_1="Lanczos", resize_mode=1,
        upscaling_resize_w=200, upscaling_resize_h=180,
    )  # fmt: skip
    assert [image.size for image in both.images] == [(200, 180)] * 2
    whole = api.extra_single_image(
        PICTURE, upscaler_1="Nearest", resize_mode=1, upscaling_resize_w=256,
        upscaling_resize_h=256, upscaling_crop=False,
    )  # fmt: skip
    assert whole.image.size == (256, 320)


def test_a_made_picture_keeps_its_settings_when_it_is_enlarged(api: Any) -> None:  # noqa: ANN401
    made = api.txt2img(prompt="hat", **SMALL)
    larger = api.extra_single_image(made.image, upscaler_1="Lanczos")
    assert larger.info.startswith(made.info["infotexts"][0])
    assert larger.info.endswith(", Postprocess upscale by: 2, Postprocess upscaler: Lanczos")


def test_lists(api: Any) -> None:  # noqa: ANN401
    assert [each["name"] for each in api.get_upscalers()] == ["None", "Lanczos", "Nearest", "sharp"]
    assert {"name": "Latent (nearest-exact)"} in api.get_latent_upscale_modes()


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        ("img2img", {"init_images": []}, "has 0 pictures"),
        ("img2img", {"initial_noise_multiplier": 1.1}, "initial_noise_multiplier"),
        ("img2img", {"resize_mode": 4}, "resize_mode"),
        ("img2img", {"mask_blur_x": 1, "mask_blur_y": 2, "mask": "x"}, "must be the same"),
        ("img2img", {"inpaint_ful_res": False}, "'inpaint_full_res'"),
        ("extra-single-image", {"upscaler_2": "Lanczos"}, "upscaler_2"),
        ("extra-single-image", {"upscaler_1": "SwinIR 4x"}, "no upscaler 'SwinIR 4x'"),
        ("extra-single-image", {"gfpgan_visibility": 1}, "gfpgan_visibility"),
        ("extra-single-image", {"upscaling_resize": 8.5}, "upscaling_resize"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    client: httpx.Client, path: str, change: dict[str, Any], words: str
) -> None:
    picture = CLIENT.webuiapi.b64_img(PICTURE)
    usual: dict[str, Any] = {"image": picture}
    if path == "img2img":
        usual = {"init_images": [picture], "width": 128, "height": 128}
    answer = client.post(f"/sdapi/v1/{path}", json=usual | change)
    assert answer.status_code == 422 and words in answer.json()["detail"], answer.text
