"""How long until the first denoising step? `sakuga render` of the demo bundle, cold processes.

    python bench/startup.py [--rounds 7]

A command line is used one picture at a time, so what is paid at every start counts as much as
speed. The clock runs from before the process is started to the end of its first step. Beside the
bar of 1.0 s stand diffusers with the same weights, and the floor: Python alone, and Python with
the packages loaded that no renderer on ONNX Runtime does without. Files lie in the page cache.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from common import CHILDREN, Figure, median, report, run_child, small_model, work_folder

from sakuga.export.build import build

BAR_SECONDS = 1.0
SIDE, PROMPT = 256, "1girl, green hair, sweater, looking at viewer, upper body, outdoors, night"
STAMP = "import time; print(time.monotonic())"
PACKAGES = f"import numpy, onnxruntime, tokenizers; {STAMP}"


def seconds_until_stamp(arguments: list[str | Path]) -> float:
    """From before the child is started to the monotonic clock it prints."""
    start = time.monotonic()
    return float(run_child(arguments).stdout) - start


def complete_folder(folder: Path) -> Path:
    """The folder with tokenizers in it, as `from_pretrained` wants one."""
    from sakuga.export.reference_pipeline import clip_tokenizer

    index = json.loads((folder / "model_index.json").read_text())
    for name, pad in (("tokenizer", "<|endoftext|>"), ("tokenizer_2", "!")):
        clip_tokenizer(pad).save_pretrained(folder / name)
        index[name] = ["transformers", "CLIPTokenizer"]
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def candidates(folder: Path) -> dict[str, Callable[[], float]]:
    """What is started in each round, by name."""
    model, _ = small_model("sdxl-tiny", folder)
    bundle, pictures = folder / "demo.sakuga", folder / "pictures"
    build("demo", bundle)
    size = ["--width", str(SIDE), "--height", str(SIDE)]
    render = [CHILDREN / "sakuga_first_step.py", "render", bundle, PROMPT, *size, "--out", pictures]
    theirs = [CHILDREN / "diffusers_first_step.py", complete_folder(model), str(SIDE), PROMPT]

    def unknown_bundle() -> float:
        shutil.rmtree(folder / "cache")  # of digests
        return seconds_until_stamp(render)

    return {
        "sakuga": lambda: seconds_until_stamp(render),
        "sakuga, bundle not seen before": unknown_bundle,
        "diffusers": lambda: seconds_until_stamp(theirs),
        "python": lambda: seconds_until_stamp(["-c", STAMP]),
        "python and packages": lambda: seconds_until_stamp(["-c", PACKAGES]),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="processes of each kind")
    rounds = parser.parse_args().rounds
    with work_folder() as folder:
        starts = candidates(folder)
        samples: dict[str, list[float]] = {name: [] for name in starts}
        for number in range(rounds + 1):
            for name, start in starts.items():
                seconds = start()
                if number:  # the first round writes byte code and fills the page cache
                    samples[name].append(seconds)
    middle = {name: median(values) for name, values in samples.items()}
    ratio = f"diffusers {middle['diffusers']:.2f} s, floor {middle['python and packages']:.2f} s"
    figures = [
        Figure("sakuga", middle["sakuga"], "s", BAR_SECONDS, beside=ratio),
        *(Figure(name, value, "s") for name, value in middle.items() if name != "sakuga"),
    ]
    report("startup", figures, {"seconds": samples})


if __name__ == "__main__":
    main()
