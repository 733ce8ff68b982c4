"""All that a picture's noise is drawn from."""

from dataclasses import dataclass, replace

from sakuga.engine.sampling.noise.sources import Latent, Rng, first_draw
from sakuga.engine.sampling.noise.variation import centred, slerp
from sakuga.profiles.buckets import Size


@dataclass(frozen=True)
class NoisePlan:
    """Source and seeds, the latter in [0, 2⁶⁴).

    `before`: draws used up before the first latent's, as by diffusers where it encodes a picture;
    `between`: after it and before those of the steps, where it encodes what is masked.

    `variation_seed`: whose noise the first latent's turns to by `variation_strength`, None without
    a variation. `drawn_at`: the picture size whose noise lies in the middle of the first latent.
    `ensd`: what is added to the seed for the noise the steps add, which then has a generator of
    its own.
    """

    rng: Rng
    seed: int
    variation_seed: int | None = None
    variation_strength: float = 0.0
    drawn_at: Size | None = None
    ensd: int = 0
    before: int = 0
    between: int = 0

    def counted_up(self, number: int) -> "NoisePlan":
        """Of the next picture but so many: seed and variation seed counted up, around at 2⁶⁴."""
        variation = self.variation_seed
        if variation is not None:
            variation = (variation + number) % 2**64
        return replace(self, seed=(self.seed + number) % 2**64, variation_seed=variation)

    @property
    def later_seed(self) -> int:
        """The seed of what the steps add."""
        return self.seed + self.ensd

    @property
    def skipped(self) -> int:
        """What to take from the sampler's number of a draw, which counts from 1 because draw 0 is
        the first latent's: a generator of the steps' own begins at 0."""
        return 1 if self.rng.restarts or self.ensd != 0 else -self.before - self.between

    def first(self, latent: tuple[int, int]) -> Latent | None:
        """The first noise, float32 [4, height, width]; None where it is draw 0 of NV and the seed
        as it is, which devices draw themselves."""
        drawn_at = self.drawn_at.latent() if self.drawn_at else latent
        plain = self.variation_seed is None and self.before == 0 and drawn_at == latent
        return None if plain and self.rng.first == "NV" else self.drawn(latent)

    def drawn(self, latent: tuple[int, int]) -> Latent:
        """The first noise, drawn here whatever its source."""
        source, drawn_at = self.rng.first, self.drawn_at.latent() if self.drawn_at else latent
        noise = first_draw(source, self.seed, drawn_at, self.before)
        if self.variation_seed is not None:
            other = first_draw(source, self.variation_seed, drawn_at)
            noise = slerp(self.variation_strength, noise, other)
        return (
            noise if drawn_at == latent else centred(noise, first_draw(source, self.seed, latent))
        )
