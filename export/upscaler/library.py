"""spandrel, which knows the architectures of upscalers by their tensors' names.

It asks for torchvision, which serves two of its networks: LaMa and RestoreFormer, neither an
upscaler. A torchvision that does not fit the torch at hand cannot even be imported, so spandrel is
imported with empty names in its place.
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from sakuga.engine.errors import MissingDependencyError, install_hint

_NEEDED = ("torch", "spandrel", "einops", "onnxscript")
_UNUSED = {
    "torchvision": (),
    "torchvision.transforms": (),
    "torchvision.transforms.functional": ("InterpolationMode", "normalize", "rotate"),
}


def check_installed() -> None:
    """Raise MissingDependencyError where something that building an upscaler needs is not here."""
    missing = [name for name in _NEEDED if name not in sys.modules and not find_spec(name)]
    if missing:
        raise MissingDependencyError(
            f"Building an upscaler needs {', '.join(missing)}.",
            note="Its architecture is found and traced with spandrel and torch; running it needs "
            "neither.",
            hint=install_hint("upscalers"),
        )


def spandrel_library() -> Any:  # noqa: ANN401 (its annotations need all its architectures)
    """The library, with all its architectures but those two."""
    unused = {} if "torchvision" in sys.modules else {name: _module(name) for name in _UNUSED}
    sys.modules.update(unused)
    try:
        import spandrel
    finally:
        for name in unused:
            sys.modules.pop(name, None)
    return spandrel


def _module(name: str) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(dict.fromkeys(_UNUSED[name]))
    return module
