"""What does the command line load? Rendering must not pay for the exporter, nor building for torch.

    python bench/imports.py

Runs the real commands in child processes and reads `sys.modules` when they are done. torch alone
takes seconds to load and gigabytes to install. The bar: none of the heavy packages, in `render` no
onnx either.
"""

import sys
from pathlib import Path
from typing import Any

from common import CHILDREN, Figure, report, run_child, small_model, work_folder

HEAVY = ("torch", "diffusers", "transformers")
FORBIDDEN = {"render": (*HEAVY, "onnx"), "build": HEAVY}


def commands(folder: Path) -> dict[str, list[str]]:
    """The commands to look at, by a name that begins with the verb."""
    model, bundle = map(str, small_model("sdxl-tiny", folder))
    jobs = folder / "jobs.jsonl"
    jobs.write_text('{"prompt": "1girl", "steps": 1}\n{"prompt": "1boy", "steps": 1}\n')
    prompt = ["1girl", "--steps", "1", "--seed", "1"]
    return {
        "render of a prompt": ["render", bundle, *prompt, "--out", str(folder / "pictures")],
        "render of jobs": ["render", bundle, "--jobs", str(jobs), "--out", str(folder / "sheet")],
        "build of the demo": ["build", "demo", "--out", str(folder / "demo.sakuga")],
        "build of a folder": ["build", model, "--out", str(folder / "again.sakuga")],
    }


def loaded_modules(command: list[str], folder: Path) -> list[str]:
    """Names of all modules loaded when the command is done."""
    names = folder / "modules.txt"
    run_child([CHILDREN / "modules_at_exit.py", names, *command])
    return names.read_text(encoding="utf-8").splitlines()


def installed_packages(modules: list[str]) -> list[str]:
    """The packages among them that Python does not bring itself."""
    packages = {module.partition(".")[0] for module in modules}
    return sorted(p for p in packages if not p.startswith("_") and p not in sys.stdlib_module_names)


def main() -> None:
    """Command line."""
    figures: list[Figure] = []
    details: dict[str, Any] = {}
    with work_folder() as folder:
        for name, command in commands(folder).items():
            modules = loaded_modules(command, folder)
            packages = installed_packages(modules)
            forbidden = [package for package in FORBIDDEN[command[0]] if package in packages]
            beside = f"{', '.join(forbidden) or 'none'} of {len(modules)} modules"
            figures.append(Figure(name, len(forbidden), "forbidden", 0, beside=beside))
            details[name] = {"forbidden": forbidden, "modules": len(modules), "packages": packages}
    report("imports", figures, {"loaded": details})


if __name__ == "__main__":
    main()
