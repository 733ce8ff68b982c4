"""The two seams of a backend: a `Device` holds latents and moves them, a `Session` runs a network.

The latents of all pictures of one size lie in a `Lane`. A slot is a picture's place in a lane; a
row is one sample of a network call. Rows of prompts with k chunks of 77 tokens have the numbers
`GROUP·(k − 1)` and on, so that rows of one call lie side by side and a slot may have rows in two.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sakuga.engine.upscaler_folder import UpscalerFolder
from sakuga.kernels.guide import Guide
from sakuga.kernels.launch import Records, Seat
from sakuga.kernels.to_rgb8 import Rounding
from sakuga.profiles.buckets import Size, Sizes

GROUP = 64  # more rows than any call has; and keeps the first of each group aligned

Array = NDArray[Any]
Latent = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Image = NDArray[np.float32]


class Session(Protocol):
    """One network, loaded."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name, for inputs of one shape set the graph allows."""
        ...


@dataclass(frozen=True, eq=False)
class Start:
    """Begin a slot. `table`: STEP_ROW [evaluations + 1], `seeds`: of its first latent and of the
    noise its steps add. `noise`: where row 0 says that it is given. `guide`: where its table
    holds the slot to one, or its first latent has a picture in it."""

    slot: int
    table: Records
    seeds: tuple[int, int]
    noise: Latent | None = None
    guide: Guide | None = None


@dataclass(frozen=True)
class Block:
    """The rows of one network call: `count` of them from row `first` on, with `chunks` each."""

    chunks: int
    first: int
    count: int

    def parts(self, most: int) -> list["Block"]:
        """The same rows in calls of at most `most`."""
        return [
            Block(self.chunks, self.first + at, min(most, self.count - at))
            for at in range(0, self.count, most)
        ]


@dataclass(frozen=True, eq=False)
class Decoded:
    """A finished picture, uint8 [height, width, 3], and the latent it was decoded from, float32
    [4, height / 8, width / 8]. `whole`: every value the VAE gave was finite. `window`: the size of
    the parts it was decoded in, None for all at once."""

    pixels: Pixels
    latent: Latent
    whole: bool
    window: Size | None = None


class Moments(NamedTuple):
    """What the VAE makes of a picture: mean and log-variance of its latent, each float32
    [4, height / 8, width / 8], not scaled."""

    mean: Latent
    logvar: Latent


class Lane(Protocol):
    """Buffers of all slots of one latent size on one device.

    `seats` with `steps` say of each slot how many evaluations it has behind it.
    """

    def start(self, starts: Sequence[Start]) -> None:
        """First latents; the tables of all evaluations."""
        ...

    def condition(self, chunks: int, row: int, inputs: Mapping[str, Array]) -> None:
        """What the network is told in this row besides latent and timestep, by input name; of
        `sample` the channels behind the latent's, where it has any."""
        ...

    def seat(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """Write next model inputs and timesteps of slots that are new or whose rows are."""
        ...

    def expect(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """A hint, before the network runs, of the step that will follow."""
        ...

    def evaluate(self, block: Block) -> None:
        """Run the network on these rows, in several calls where they are too many for one."""
        ...

    def give(self, slot: int, noise: Latent) -> None:
        """The noise of the slot's next step, where its table says that it is given."""
        ...

    def foresee(self, seat: Seat, step: int, a: float, b: float) -> "Future[Pixels]":
        """A small picture of a·x + b·ê, uint8 [latent height, latent width, 3]: between `evaluate`
        and `step`, with `step` evaluations behind the slot before this one. Where memory runs out,
        the future fails and the slot goes on."""
        ...

    def step(self, seats: Sequence[Seat], steps: Sequence[int]) -> None:
        """One launch for all slots given: guidance, update, noise, next model inputs."""
        ...

    def latent(self, slot: int) -> Latent:
        """A slot's latent, float32 [4, height, width], on the host."""
        ...


class Device(Protocol):
    """Where latents live and kernels run."""

    @property
    def name(self) -> str:
        """What computes pictures, as their metadata names it: library, version, machine."""
        ...

    @property
    def sizes(self) -> Sizes | None:
        """Which sizes it renders of those the bundle has; None for all."""
        ...

    @property
    def residency(self) -> str:
        """What lies in the device's memory, in words; empty where nobody need plan it."""
        ...

    @property
    def slots(self) -> int:
        """How many pictures of one size are worked on at once."""
        ...

    @property
    def rows(self) -> int:
        """Rows with the same number of chunks that one step can use to the full."""
        ...

    @property
    def turn_s(self) -> float:
        """Seconds that other work shall have at a time between evaluations: 0, no more than up to
        its next pause, where to and fro between the two costs nothing."""
        ...

    def network(self, name: str) -> Session:
        """A network of the bundle, to be run on arrays of the host."""
        ...

    def upscaler(self, folder: UpscalerFolder) -> Session:
        """The network of an upscaler, to be run on pictures of the host, float32 [1, 3, h, w]; the
        same for the same folder."""
        ...

    def lane(self, latent: tuple[int, int]) -> Lane:
        """The lane of latents of (height, width)."""
        ...

    def leave(self, latent: tuple[int, int], slot: int) -> None:
        """Nobody needs what lies in this place any more; where no place is needed, no lane is."""
        ...

    def decode(self, latent: tuple[int, int], slot: int, rounding: Rounding) -> "Future[Decoded]":
        """The picture of a slot, which may leave at once; begun by `flush` at the latest."""
        ...

    def encode(self, image: Image) -> Moments:
        """The latent of one picture, float32 [3, height, width] in [-1, 1], whose sides are
        multiples of 8; at once. Raises SizeError for one that is too small for the VAE."""
        ...

    def flush(self) -> None:
        """Begin to decode whatever waits for company."""
        ...

    def pace(self) -> None:
        """After each evaluation: be only so far ahead of the device that others join and leave
        at once."""
        ...

    def shrink(self) -> int:
        """After memory ran out: make room or take fewer rows; the rows to try, 0 if none."""
        ...

    def close(self) -> None:
        """Release what the device holds."""
        ...
