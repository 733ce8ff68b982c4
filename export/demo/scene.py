"""What is in a picture: drawn from a seed, painted by `painter`, described by `captions`."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sakuga.export.demo.palette import CLOTHES, EYES, HAIR, PLAIN_BACKGROUNDS
from sakuga.profiles.buckets import Size

Person = Literal["1girl", "1boy"]
Framing = Literal["upper body", "portrait"]
Place = Literal["night", "day", "beach", "simple background"]
Quality = Literal["best", "worst"]

HAIR_STYLES = ("long hair", "short hair", "twintails", "ponytail")
BOYS_STYLES = ("short hair", "spiked hair")
EXPRESSIONS = ("smile", "open mouth", "expressionless", "closed eyes")
GARMENTS = ("sweater", "hoodie", "school uniform", "dress")
BOYS_GARMENTS = ("sweater", "hoodie", "school uniform")
ACCESSORIES = ("beanie", "glasses", "ribbon")
PLACES: tuple[Place, ...] = ("night", "day", "beach", "simple background")
WORST_SHARE = 0.22  # of all pictures


@dataclass(frozen=True)
class Layout:
    """Where things are, in shares of what there is room for; `detail` seeds what has no tag."""

    across: float  # -1 to 1, left to right
    down: float  # -1 to 1, top to bottom
    zoom: float  # -1 to 1
    tilt: float  # degrees
    detail: int


@dataclass(frozen=True)
class Scene:
    """One portrait: every attribute a tag can ask for, and its layout."""

    person: Person
    hair: str  # key of palette.HAIR
    style: str
    eyes: str  # key of palette.EYES
    expression: str
    garment: str
    cloth: str  # key of palette.CLOTHES
    accessories: tuple[str, ...]
    framing: Framing
    place: Place
    backdrop: str  # key of palette.PLAIN_BACKGROUNDS, used where the place is plain
    quality: Quality
    layout: Layout

    @property
    def night(self) -> bool:
        """Whether the sky is dark."""
        return self.place == "night"


def random_scene(generator: np.random.Generator) -> Scene:
    """A scene in which every attribute is drawn on its own, so that none implies another.

    But for what goes with boys: short or spiked hair, and neither ribbon nor dress; spiked hair is
    theirs alone.
    """
    person: Person = "1boy" if generator.random() < 0.3 else "1girl"
    boy = person == "1boy"
    worn = tuple(name for name in ACCESSORIES if generator.random() < 0.22)
    if boy:
        worn = tuple(name for name in worn if name != "ribbon")
    return Scene(
        person=person,
        hair=_pick(generator, tuple(HAIR)),
        style=_pick(generator, BOYS_STYLES if boy else HAIR_STYLES),
        eyes=_pick(generator, tuple(EYES)),
        expression=_pick(generator, EXPRESSIONS, (0.4, 0.25, 0.25, 0.1)),
        garment=_pick(generator, BOYS_GARMENTS if boy else GARMENTS),
        cloth=_pick(generator, tuple(CLOTHES)),
        accessories=worn,
        framing="portrait" if generator.random() < 0.4 else "upper body",
        place=PLACES[generator.choice(4, p=(0.32, 0.3, 0.14, 0.24))],
        backdrop=_pick(generator, tuple(PLAIN_BACKGROUNDS)),
        quality="worst" if generator.random() < WORST_SHARE else "best",
        layout=_layout(generator),
    )


def _layout(generator: np.random.Generator) -> Layout:
    across, down, zoom = generator.uniform(-1, 1, 3)
    tilt = float(np.clip(generator.normal(0, 4), -9, 9))
    return Layout(float(across), float(down), float(zoom), tilt, int(generator.integers(1 << 31)))


def _pick(
    generator: np.random.Generator, names: tuple[str, ...], odds: tuple[float, ...] | None = None
) -> str:
    return names[int(generator.choice(len(names), p=odds))]


@dataclass(frozen=True)
class Frame:
    """Where the head is in a picture: centre and half its height, in pixels; tilt in degrees."""

    x: float
    y: float
    unit: float
    tilt: float


def frame(scene: Scene, size: Size) -> Frame:
    """Places the head so that hair and framing fit a picture of any of the shapes."""
    layout, room = scene.layout, min(size.width * 1.05, size.height)
    if scene.framing == "portrait":
        unit, rest = room * (0.285 + 0.02 * layout.zoom), 0.50
    else:
        unit, rest = room * (0.205 + 0.02 * layout.zoom), 0.40
    slack = max(size.width / 2 - 1.55 * unit, 0)
    x = size.width / 2 + 0.8 * slack * layout.across
    # A tall picture shows more sky instead of more of the body than the painter draws.
    y = max(size.height * rest, size.height - 3.4 * unit) + 0.12 * unit * layout.down
    return Frame(x, y, unit, layout.tilt)
