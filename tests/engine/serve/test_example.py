"""The application of docs/serving.md, as somebody would paste it."""

import io
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from sakuga.engine.bundle import Bundle

DOCUMENT = Path(__file__).parents[3] / "docs" / "serving.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_engine_inside_an_application_of_one_s_own(sdxl_bundle: Bundle) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    (example,) = [block for block in blocks if "FastAPI" in block]
    assert len(example.splitlines()) <= 36
    names: dict[str, object] = {}
    exec(compile(example, "serving.md", "exec"), names)
    names["BUNDLE"] = str(sdxl_bundle.path)
    with TestClient(names["app"]) as client:  # type: ignore[arg-type]
        answer = client.get("/portrait", params={"prompt": "1girl", "seed": 3})
        assert Image.open(io.BytesIO(answer.content)).format == "PNG"
        assert client.get("/portrait", params={"prompt": "<lora:x:1>"}).status_code == 422
