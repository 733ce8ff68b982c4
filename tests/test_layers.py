"""Who may import whom, read from the sources: nothing is imported to find out."""

import ast
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("engine", "export", "kernels", "profiles")
SOURCES = [
    path
    for folder in (*FOLDERS, "bench", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
] + sorted((ROOT / "src" / "sakuga").glob("*.py"))

# Which of the four folders each folder may import, itself included.
FOLDERS_BELOW = {
    "profiles": {"profiles"},
    "kernels": {"kernels"},
    "engine": {"engine", "kernels", "profiles"},
    "export": {"export", "engine", "kernels", "profiles"},
}
# Which packages beside the standard library each folder may import.
PACKAGES = {
    "profiles": set[str](),
    "kernels": {"numpy"},
    "engine": {"numpy", "PIL", "tokenizers", "onnxruntime", "click", "rich"},
    "export": {"numpy", "ml_dtypes", "onnx", "PIL", "click", "rich"},
}
# The files that may import more: what only maintainers, `--verify` and training run.
TORCH = {"torch", "diffusers", "transformers"}
MORE_PACKAGES = {
    "export/reference.py": TORCH,
    "export/reference_pipeline.py": TORCH,
    "export/trace.py": TORCH,
    "export/verify.py": TORCH,
    "export/simplify.py": {"onnx_ir", "onnxscript"},
    "export/upscaler/library.py": {"spandrel"},
    "export/upscaler/network.py": {"torch"},
    "export/upscaler/trace.py": {"onnx_ir", "onnxscript", "torch"},
    "export/upscaler/traceable.py": {"torch"},
    "export/upscaler/verify.py": {"torch"},
    "engine/serve/a1111.py": {"fastapi"},
    "engine/serve/a1111_adetailer.py": {"pydantic"},
    "engine/serve/a1111_extras.py": {"fastapi", "pydantic"},
    "engine/serve/a1111_body.py": {"pydantic"},
    "engine/serve/a1111_lists.py": {"fastapi", "pydantic"},
    "engine/serve/answers.py": {"fastapi", "starlette"},
    "engine/serve/app.py": {"fastapi"},
    "engine/serve/bundles.py": {"fastapi"},
    "engine/serve/health.py": {"fastapi"},
    "engine/serve/metrics.py": {"fastapi", "prometheus_client"},
    "engine/serve/native.py": {"fastapi", "pydantic"},
    "engine/serve/openai.py": {"fastapi", "pydantic"},
    "engine/serve/openai_edits.py": {"fastapi", "pydantic", "starlette"},
    "engine/serve/ray.py": {"ray", "starlette"},
    "engine/serve/page.py": {"fastapi"},
    "engine/serve/reading.py": {"fastapi"},
    "engine/serve/run.py": {"uvicorn"},
    "engine/serve/stage_bodies.py": {"pydantic"},
    "engine/serve/strict.py": {"pydantic", "pydantic_core"},
    "engine/serve/tracing.py": {"opentelemetry"},
    "engine/serve/triton/model.py": {"triton_python_backend_utils"},
    "engine/serve/waiting.py": {"fastapi"},
    **{
        f"export/demo/training/{name}.py": TORCH
        for name in (
            *("device", "face_network", "face_onnx", "faces", "latents", "lora", "progress"),
            *("text", "unet", "vae"),
        )
    },
}
# Whoever renders with Ray has it; the files that name it do so inside functions alone.
RAY = {
    "engine/jobs/cluster/actor.py": {"pyarrow"},
    "engine/jobs/cluster/connection.py": {"ray"},
}
# The floors of engine/, lowest first: a module imports its own part and the floors below.
FLOORS = (
    {"errors", "version"},
    {"gpu", "platform"},
    {"digests", "manifest", "presets"},
    {"bundle"},
    {"plans", "upscaler_folder"},
    {"backend", "image", "sampling", "text"},
    {"lint"},
    {"refine"},
    {"runtime"},
    {"engine"},
    {"jobs"},
    {
        "asked",
        "doctor",
        "lint_text",
        "option_types",
        "outputs",
        "place",
        "preset_text",
        "progress",
        "stage_options",
    },
    {"render_file", "render_prompt", "serve"},
    {"about", "cli", "lint_prompt"},
)
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}


def imported_modules(path: Path) -> Iterator[str]:
    """Every module an import statement of the file names, at the top or inside a function."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the absolute import"
            assert node.module is not None
            if node.module in {"sakuga", *(f"sakuga.{folder}" for folder in FOLDERS)}:
                yield from (f"{node.module}.{name.name}" for name in node.names)
            else:
                yield node.module


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def files_of(folder: str) -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


def packages_of(path: Path) -> set[str]:
    """Top-level packages beside the standard library and sakuga."""
    top = {module.partition(".")[0] for module in imported_modules(path)}
    return top - sys.stdlib_module_names - {"sakuga"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_the_folders_below_it(folder: str) -> None:
    found = {
        (name_of(path), module)
        for path in files_of(folder)
        for module in imported_modules(path)
        if module.startswith("sakuga") and module.split(".")[1] not in FOLDERS_BELOW[folder]
    }
    assert found == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_its_packages(folder: str) -> None:
    found = {
        (name_of(path), package)
        for path in files_of(folder)
        for package in packages_of(path)
        - PACKAGES[folder]
        - {**MORE_PACKAGES, **RAY}.get(name_of(path), set())
    }
    assert found == set()


def test_only_the_exporter_may_bring_torch() -> None:
    """The exceptions stay what they are: each is there and uses it, and torch's are in export/."""
    for name, packages in MORE_PACKAGES.items():
        assert name.startswith("export/") or not packages & TORCH
        assert packages_of(ROOT / name) & packages, name


def test_ray_comes_when_it_is_asked_for() -> None:
    for name, packages in RAY.items():
        assert packages_of(ROOT / name) & packages, name
        top = ast.parse((ROOT / name).read_bytes()).body
        named = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
        assert not {module.partition(".")[0] for module in named} & packages, name


def test_every_part_of_engine_has_a_floor() -> None:
    parts = {path.relative_to(ROOT / "engine").parts[0] for path in files_of("engine")}
    assert {part.removesuffix(".py") for part in parts} - {"__init__"} == FLOOR_OF.keys()


def test_a_floor_of_engine_imports_only_the_floors_below() -> None:
    found = set[tuple[str, str]]()
    for path in files_of("engine"):
        part = path.relative_to(ROOT / "engine").parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for module in imported_modules(path):
            if module.startswith("sakuga.engine."):
                other = module.split(".")[2]
                if other != part and FLOOR_OF[other] >= FLOOR_OF[part]:
                    found.add((name_of(path), module))
    assert found == set()


def test_nobody_imports_a_folder_by_its_bare_name() -> None:
    """From the repository's root `import engine` succeeds, and is a second copy of the code."""
    bare = {
        (name_of(path), module)
        for path in SOURCES
        for module in imported_modules(path)
        if module.partition(".")[0] in FOLDERS
    }
    assert bare == set()


def test_the_package_starts_with_the_engine_alone() -> None:
    modules = chain.from_iterable(map(imported_modules, (ROOT / "src" / "sakuga").glob("*.py")))
    ours = {module for module in modules if module.startswith("sakuga")}
    assert ours
    assert all(module.startswith("sakuga.engine.") for module in ours)
