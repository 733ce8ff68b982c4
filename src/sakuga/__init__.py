"""Sakuga: build a Stable Diffusion anime checkpoint once, render from it fast and faithfully.

    from sakuga import Engine, Request

    with Engine.open("animagine.sakuga") as engine:
        picture = engine.render(Request("1girl, green hair, sweater", seed=42))
        picture.save("out.png")

Building from Python: `from sakuga.export.build import build`.
"""

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.engine.engine import Engine
from sakuga.engine.errors import (
    BuildError,
    BundleDamagedError,
    BundleError,
    BundleFormatError,
    BusyError,
    CheckpointError,
    DeadlineError,
    DeviceMemoryError,
    EngineFault,
    FileFormatError,
    MetadataError,
    MissingDependencyError,
    OutputError,
    OverloadedError,
    PictureFileError,
    PlanBuildError,
    PlanMismatchError,
    RenderError,
    SakugaError,
    SizeError,
    StoppedError,
    TargetError,
    TensorError,
    UnknownFamilyError,
    UsageError,
)
from sakuga.engine.image.infotext import Infotext
from sakuga.engine.image.metadata import read_infotext
from sakuga.engine.image.source import Source
from sakuga.engine.refine.detail import Detail
from sakuga.engine.runtime.admission import Limits, Statistics
from sakuga.engine.runtime.picture import Picture
from sakuga.engine.runtime.remake import Remake
from sakuga.engine.runtime.request import Request
from sakuga.engine.runtime.stages import Hires, Init, Mask, Upscale
from sakuga.engine.runtime.ticket import Progress, Ticket
from sakuga.engine.version import VERSION as __version__

__all__ = [
    "BuildError",
    "Bundle",
    "BundleDamagedError",
    "BundleError",
    "BundleFormatError",
    "BusyError",
    "CheckpointError",
    "DeadlineError",
    "Detail",
    "DeviceMemoryError",
    "Engine",
    "EngineFault",
    "FileFormatError",
    "Hires",
    "Infotext",
    "Init",
    "Limits",
    "Mask",
    "MetadataError",
    "MissingDependencyError",
    "OutputError",
    "OverloadedError",
    "Picture",
    "PictureFileError",
    "PlanBuildError",
    "PlanMismatchError",
    "Progress",
    "Remake",
    "RenderError",
    "Request",
    "SakugaError",
    "SizeError",
    "Source",
    "Statistics",
    "StoppedError",
    "TargetError",
    "TensorError",
    "Ticket",
    "UnknownFamilyError",
    "Upscale",
    "UsageError",
    "__version__",
    "open_bundle",
    "read_infotext",
]
