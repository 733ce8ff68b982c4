"""No file that is read may run anything, held by reading the sources.

Pickles are interpreted in one place, `engine/text/torch_pickle.py`, which runs nothing; and nobody
else loads what Python would run while loading it.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for folder in ("engine", "export", "kernels", "profiles", "bench", "src/sakuga")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
INTERPRETER = "engine/text/torch_pickle.py"
# What processes of one rendering say to each other, through Ray, which pickles all the rest itself.
BETWEEN_PROCESSES = {"engine/jobs/cluster/actor.py", "engine/jobs/cluster/stream.py"}

LOADERS = {
    *("pickle", "_pickle", "cPickle", "pickletools", "marshal", "shelve", "copyreg", "dill"),
    *("cloudpickle", "joblib"),
}
CALLS = {"eval", "exec", "compile", "__import__"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dangers(source: str) -> Iterator[str]:
    """What in a source could run something that a file holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name.split(".")[0] in LOADERS)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in LOADERS:
                yield f"from {node.module}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            options = {each.arg: ast.unparse(each.value) for each in node.keywords}
            if called in CALLS or options.get("trust_remote_code", "False") != "False":
                yield called
            if called == "torch.load" and options.get("weights_only") != "True":
                yield called
            if called.endswith(".load") and options.get("allow_pickle", "False") != "False":
                yield called


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import numpy, marshal",
        "from pickle import loads",
        "import dill as json",
        "def f():\n    from _pickle import Unpickler",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "model.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_dangers_are_seen(source: str) -> None:
    assert list(dangers(source))


def test_no_source_loads_what_could_run() -> None:
    found = {name_of(path): [*dangers(path.read_text(encoding="utf-8"))] for path in SOURCES}
    assert {name: each for name, each in found.items() if each} == {
        name: ["pickle"] for name in BETWEEN_PROCESSES
    }


def test_one_module_interprets_pickles() -> None:
    """The opcodes for calls and names are nowhere else."""
    about = {name_of(path) for path in SOURCES if "read_pickle" in path.read_text(encoding="utf-8")}
    assert about == {INTERPRETER, "engine/text/torch_file.py"}
