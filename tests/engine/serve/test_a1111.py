"""A published client of A1111's API, unmodified, against the server."""

import base64
import io
import threading
from typing import Any

import httpx
import pytest
import webuiapi
from PIL import Image

from sakuga.engine.bundle import Bundle
from sakuga.engine.engine import Engine
from sakuga.engine.runtime.request import Request

WANTED = {"prompt": "1girl, (hat:1.2)", "width": 128, "height": 160, "steps": 4, "seed": 9}


@pytest.fixture
def api(client: httpx.Client) -> Any:  # noqa: ANN401
    return webuiapi.WebUIApi(port=client.base_url.port or 80, sampler="Euler a", steps=4)


def test_pictures_are_those_of_the_engine(api: Any, sdxl_bundle: Bundle) -> None:  # noqa: ANN401
    found = api.txt2img(**WANTED, negative_prompt="lowres", batch_size=2, cfg_scale=5.0)
    assert len(found.images) == 2
    with Engine.open(sdxl_bundle.path, threads=1) as engine:
        request = Request(
            "1girl, (hat:1.2)", "lowres", width=128, height=160, steps=4, seed=10, guidance=5.0,
            prefix="none",
        )  # fmt: skip
        expected = engine.render(request)
    assert found.images[1].convert("RGB").tobytes() == expected.pixels.tobytes()
    assert found.info["all_seeds"] == [9, 10] and found.info["infotexts"][1] == expected.parameters
    assert found.parameters["cfg_scale"] == 5.0
    read = api.png_info(found.images[1])
    assert read.info == expected.parameters and read.parameters["seed"] == 10


def test_variations_and_overrides(api: Any, sdxl_bundle: Bundle) -> None:  # noqa: ANN401
    found = api.txt2img(
        **WANTED, subseed=4, subseed_strength=0.3, scheduler="Karras", sampler_name="DPM++ 2M",
        override_settings={"randn_source": "CPU", "CLIP_stop_at_last_layers": 2},
    )  # fmt: skip
    text = found.info["infotexts"][0]
    for words in ("Variation seed: 4", "Variation seed strength: 0.3", "RNG: CPU", "Clip skip: 2"):
        assert words in text
    assert "Sampler: DPM++ 2M, Schedule type: Karras" in text


def test_lists(api: Any, sdxl_bundle: Bundle) -> None:  # noqa: ANN401
    name = sdxl_bundle.path.name.removesuffix(".sakuga")
    assert api.util_get_model_names() == [f"{name} [{sdxl_bundle.manifest.checkpoint.model_hash}]"]
    assert "Euler a" in api.util_get_sampler_names()
    assert {"Automatic", "Karras"} <= {each["label"] for each in api.get_schedulers()}
    assert api.util_get_current_model() == api.util_get_model_names()[0]
    api.util_set_model(name)
    assert api.get_loras() == [] and api.get_embeddings()["loaded"] == {}
    assert api.get_memory()["ram"]["total"] > 0 and api.get_cmd_flags() == {"api": True}


def test_progress_and_interrupt(api: Any, until: Any) -> None:  # noqa: ANN401
    failed: list[Exception] = []

    def ask() -> None:
        try:
            api.txt2img(**WANTED | {"steps": 900})
        except RuntimeError as error:
            failed.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    until(lambda: api.get_progress()["current_image"] is not None)
    progress = api.get_progress()
    assert 0 < progress["progress"] < 1 and progress["eta_relative"] > 0
    assert progress["state"]["sampling_steps"] == 900 and progress["state"]["job_count"] == 1
    shown = Image.open(io.BytesIO(base64.b64decode(progress["current_image"])))
    assert shown.size == (16, 20)
    api.interrupt()
    caller.join(30)
    assert len(failed) == 1 and "409" in str(failed[0]) and "cancelled" in str(failed[0])
    assert api.get_progress()["progress"] == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"enable_hr": True, "hr_checkpoint_name": "other"}, "another checkpoint"),
        ({"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"}, "no upscaler 'R-ESRGAN 4x+'"),
        ({"hr_scal": 1.5}, "Did you mean 'hr_scale'?"),
        ({"styles": ["a"]}, "styles"),
        ({"alwayson_scripts": {"ControlNet": {"args": []}}}, "no script 'ControlNet'"),
        ({"alwayson_scripts": {"ADetailer": {"args": [{"ad_modl": "x"}]}}}, "'ad_model'"),
        ({"alwayson_scripts": {"ADetailer": {"args": [{"ad_model": "hand"}]}}}, "no detector"),
        ({"override_settings": {"sd_vae": "other.safetensors"}}, "VAE"),
        ({"override_settings": {"colour": 1}}, "colour"),
        ({"override_settings": {"CLIP_stop_at_last_layers": "two"}}, "clip"),
        ({"sampler_name": "DPM++ SDE"}, "not here"),
        ({"width": 130}, "Nearest"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_what_is_not_done_is_refused_by_name(
    client: httpx.Client, change: dict[str, Any], words: str
) -> None:
    answer = client.post("/sdapi/v1/txt2img", json=WANTED | change)
    assert answer.status_code == 422 and words.casefold() in answer.json()["detail"].casefold()


def test_options_that_cannot_be_changed_are_refused(client: httpx.Client) -> None:
    answer = client.post("/sdapi/v1/options", json={"samples_format": "gif"})
    assert answer.status_code == 422 and "samples_format" in answer.json()["detail"]
    assert client.post("/sdapi/v1/options", json=client.get("/sdapi/v1/options").json()).is_success
    assert client.post("/sdapi/v1/png-info", json={"image": "!"}).status_code == 422
