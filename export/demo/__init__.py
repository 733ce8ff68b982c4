"""The demo model and the demo jobs.

The model is a small SDXL (family `sdxl-demo`), trained by `export.demo.training` on what
`export.demo.painter` draws; docs/demo-model.md is its card. `sakuga build demo` builds it.
"""

from pathlib import Path

DEMO_CHECKPOINT = Path(__file__).parent / "demo.safetensors"
DEMO_LORA = Path(__file__).parent / "kosame.safetensors"  # one character, kohya's format
CARD_JOBS = Path(__file__).parent / "cards.jsonl"  # the examples of the cards at its sizes
DEMO_METADATA = {
    "modelspec.title": "Sakuga demo",
    "modelspec.architecture": "stable-diffusion-xl-v1-base",
    "modelspec.license": "Apache-2.0",
    "modelspec.prediction_type": "epsilon",
}
