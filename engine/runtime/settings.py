"""A request with nothing left open."""

from dataclasses import dataclass
from functools import cached_property

from sakuga.engine.runtime.stages import Init, Stage
from sakuga.engine.sampling.compat import Compat
from sakuga.engine.sampling.masking import MaskRule
from sakuga.engine.sampling.noise.plan import NoisePlan
from sakuga.engine.sampling.samplers import SAMPLERS
from sakuga.engine.sampling.table import Prediction, SamplerTable
from sakuga.engine.text.clip_skip import Layer
from sakuga.engine.text.segments import Emphasis
from sakuga.profiles.buckets import Size


@dataclass(frozen=True, eq=False)
class Settings:
    """A request with nothing left open, and its sampler table.

    The prompts are the texts that are encoded. `layer` and `negative_layer` are where the text
    encoders' states are taken. `schedule` is the name of the schedule used, "Automatic" where A1111
    would say so; `eta` and `s_noise` are None where they are the sampler's own. `noise`: what is
    drawn for it. `notes`: settings outside what the preset recommends. `init`: the picture to begin
    from, if there is one. `later`: the stages behind this pass. `steps_before`: of a hires pass,
    the first one's evaluations as A1111 reckons them when it edits prompts.
    """

    prompt: str
    negative_prompt: str | None
    size: Size
    guidance: float
    sampler: str
    schedule: str
    eta: float | None
    s_noise: float | None
    noise: NoisePlan
    compat: Compat
    clip_skip: int | None
    layer: Layer
    negative_layer: Layer
    table: SamplerTable
    emphasis: Emphasis = "Original"
    pad_conds: bool = False
    notes: tuple[str, ...] = ()
    guidance_interval: tuple[float, float] | None = None
    prediction: Prediction = "epsilon"
    init: Init | None = None
    later: tuple["Later", ...] = ()
    steps_before: int = 0

    @property
    def seed(self) -> int:
        """What the noise is drawn from, first of all."""
        return self.noise.seed

    @property
    def steps(self) -> int:
        """Steps as people count them; some samplers ask the network more often, some less."""
        return self.table.steps

    @property
    def guided(self) -> bool:
        """Whether the negative prompt takes part."""
        off = self.guidance <= 1 if self.compat.name == "diffusers" else self.guidance == 1
        return not off

    @cached_property
    def guidances(self) -> tuple[float, ...]:
        """Guidance at each evaluation, 1 where there is none."""
        count = self.table.evaluations
        start, end = self.guidance_interval or (0.0, 1.0)
        guidance = self.guidance if self.guided else 1.0
        return tuple(guidance if start <= at / count < end else 1.0 for at in range(count))

    @property
    def mask_rule(self) -> MaskRule:
        """How what lies outside a mask is kept."""
        own = self.compat.schedule == "automatic" and SAMPLERS[self.sampler].own is not None
        return "seen" if own else self.compat.mask

    @property
    def work(self) -> float:
        """Megapixel-steps of this pass: millions of pixels times evaluations."""
        return self.size.width * self.size.height * 1e-6 * self.table.evaluations

    @property
    def work_in_all(self) -> float:
        """The same of all passes that are known before it begins: of a detailer one."""
        return self.work + sum(each.work for each in self.later)

    @property
    def evaluations_in_all(self) -> int:
        """Evaluations of all passes that are known before it begins."""
        return self.table.evaluations + sum(each.evaluations for each in self.later)


@dataclass(frozen=True, eq=False)
class Later:
    """A stage behind the first pass. `settings`: of its pass, None where it samples nothing.
    `size`: of the picture after it. `tiles`: how many passes it takes. `whole`: the size a hires
    pass enlarges to before it cuts off what is over, None where nothing is."""

    stage: Stage
    settings: Settings | None
    size: Size
    tiles: int = 1
    whole: Size | None = None

    @property
    def work(self) -> float:
        """Megapixel-steps."""
        return 0.0 if self.settings is None else self.settings.work * self.tiles

    @property
    def evaluations(self) -> int:
        """Evaluations of the network."""
        return 0 if self.settings is None else self.settings.table.evaluations * self.tiles
