"""Optimisation profiles: what a plan takes, for every network, bucket and batch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakuga.profiles.buckets import Size
from sakuga.profiles.families import CHUNK, FAMILIES, SD15, SDXL, Family
from sakuga.profiles.networks import ROWS, Network, ShapeRange, lengths, networks, shape_of
from sakuga.profiles.plan_shapes import Kind, PlanShapes, profiles_of

Profile = dict[str, ShapeRange]
LARGEST_BATCH = 31  # two rows a picture, 63 rows a call
KINDS: tuple[Kind, ...] = ("buckets", "range", "sizes")

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())


def of(family: Family, kind: Kind, network: str, batch: int = 4) -> tuple[Profile, ...]:
    return profiles_of(networks(family)[network], PlanShapes(kind, family.buckets, batch))


def fits(profile: Profile, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether TensorRT would take these input shapes under a profile."""
    return all(
        low <= side <= high
        for name, shape in shapes.items()
        for low, side, high in zip(profile[name].minimum, shape, profile[name].maximum, strict=True)
    )


@st.composite
def shapes(draw: st.DrawFn) -> tuple[Family, PlanShapes]:
    """Any family with any sizes it renders and any batch its networks take."""
    family = draw(st.sampled_from(list(FAMILIES.values())))
    kind = draw(st.sampled_from(KINDS))
    rule, sizes = family.sizes, family.buckets
    if kind == "sizes":
        side = st.integers(rule.minimum // rule.step, rule.maximum // rule.step)
        size = st.builds(lambda w, h: Size(w * rule.step, h * rule.step), side, side)
        sizes = tuple(draw(st.lists(size, min_size=1, max_size=5, unique=True)))
    return family, PlanShapes(kind, sizes, draw(st.integers(1, LARGEST_BATCH)))


def check_tensor(network: Network, shape: ShapeRange, dims: tuple[str | int, ...]) -> None:
    for length, low, usual, high in zip(
        dims, shape.minimum, shape.optimum, shape.maximum, strict=True
    ):
        assert low <= usual <= high
        if isinstance(length, int):
            assert low == high == length
            continue
        axis = network.axis(length)
        assert axis.minimum <= low and high <= axis.maximum
        assert all((side - axis.minimum) % axis.step == 0 for side in (low, usual, high))


@given(shapes())
def test_every_profile_is_ordered_and_inside_the_networks_axes(
    given_shapes: tuple[Family, PlanShapes],
) -> None:
    family, wanted = given_shapes
    for network in networks(family).values():
        profiles = profiles_of(network, wanted)
        for profile in profiles:
            assert list(profile) == [tensor.name for tensor in network.inputs]
            for tensor in network.inputs:
                check_tensor(network, profile[tensor.name], tensor.dims)


@given(shapes(), st.data())
def test_every_call_of_a_size_that_was_asked_for_fits_a_profile(
    given_shapes: tuple[Family, PlanShapes], data: st.DataObject
) -> None:
    family, wanted = given_shapes
    size = data.draw(st.sampled_from(wanted.sizes))
    pictures = data.draw(st.integers(1, wanted.max_batch))
    guided, chunks = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3))
    for network in networks(family).values():
        rows = pictures * guided if network.name == "unet" else 1
        axes = lengths(size, rows, chunks)
        call = {tensor.name: shape_of(tensor, axes) for tensor in network.inputs}
        assert any(fits(profile, call) for profile in profiles_of(network, wanted))


@given(shapes())
def test_guidance_doubles_the_rows_of_the_unet_and_the_vae_takes_one(
    given_shapes: tuple[Family, PlanShapes],
) -> None:
    family, wanted = given_shapes
    made = networks(family)
    for profile in profiles_of(made["unet"], wanted):
        rows = [profile["timestep"].minimum, profile["timestep"].optimum]
        assert rows == [(1,), (2,)]
        assert profile["timestep"].maximum == (2 * wanted.max_batch,)
        assert wanted.max_rows == 2 * wanted.max_batch <= ROWS.maximum
    for name, tensor in (("vae_decoder", "latent"), ("vae_encoder", "image")):
        for profile in profiles_of(made[name], wanted):
            shape = profile[tensor]
            assert {s[0] for s in (shape.minimum, shape.optimum, shape.maximum)} == {1}


@given(shapes())
def test_a_text_encoder_has_one_profile_for_three_chunks_of_each_row(
    given_shapes: tuple[Family, PlanShapes],
) -> None:
    family, wanted = given_shapes
    for config in family.text_encoders:
        (profile,) = profiles_of(networks(family)[config.name], wanted)
        shape = profile["inputs_embeds"]
        assert shape.minimum == (1, CHUNK, config.hidden)
        assert shape.maximum[0] == min(3 * wanted.max_rows, ROWS.maximum)
        assert profile["clip_skip"] == ShapeRange((1,), (1,), (1,))


@families
def test_buckets_fix_height_and_width_in_a_profile_each(family: Family) -> None:
    for name, tensor in (("unet", "sample"), ("vae_decoder", "latent")):
        profiles = of(family, "buckets", name)
        assert len(profiles) == len(family.buckets)
        for bucket, profile in zip(family.buckets, profiles, strict=True):
            shape = profile[tensor]
            for corner in (shape.minimum, shape.optimum, shape.maximum):
                assert corner[2:] == bucket.latent()
    for bucket, profile in zip(family.buckets, of(family, "buckets", "vae_encoder"), strict=True):
        assert profile["image"].minimum == (1, 3, bucket.height, bucket.width)
        assert profile["image"].minimum == profile["image"].maximum


@families
@pytest.mark.parametrize("kind", KINDS)
def test_the_context_goes_from_one_chunk_to_three(family: Family, kind: Kind) -> None:
    width = family.unet.context
    for profile in of(family, kind, "unet", batch=1):
        states = profile["encoder_hidden_states"]
        assert states == ShapeRange((1, 77, width), (2, 77, width), (2, 231, width))


def test_the_range_of_sdxl_has_the_corners_of_its_nine_buckets() -> None:
    (profile,) = of(SDXL, "range", "unet")
    assert profile["sample"] == ShapeRange((1, 4, 80, 80), (2, 4, 128, 128), (8, 4, 192, 192))
    assert profile["time_ids"] == ShapeRange((1, 6), (2, 6), (8, 6))
    decoder = of(SDXL, "range", "vae_decoder")[-1]["latent"]
    assert decoder == ShapeRange((1, 4, 80, 80), (1, 4, 128, 128), (1, 4, 192, 192))
    encoder = of(SDXL, "range", "vae_encoder")[-1]["image"]
    assert encoder == ShapeRange((1, 3, 640, 640), (1, 3, 1024, 1024), (1, 3, 1536, 1536))


@families
@pytest.mark.parametrize("network", ["vae_decoder", "vae_encoder"])
def test_a_range_gives_the_vae_a_profile_for_each_size_before_one_over_all(
    family: Family, network: str
) -> None:
    """So no bucket takes the memory of the range's largest corner."""
    *each, over_all = of(family, "range", network)
    assert tuple(each) == of(family, "buckets", network)
    (tensor,) = over_all
    areas = [profile[tensor].maximum[2] * profile[tensor].maximum[3] for profile in each]
    assert over_all[tensor].maximum[2] * over_all[tensor].maximum[3] > max(areas)
    assert len(of(family, "range", "unet")) == 1


def test_the_range_of_sd15_holds_its_odd_latent_sides() -> None:
    (profile,) = of(SD15, "range", "unet")
    assert profile["sample"].minimum == (1, 4, 64, 64)
    assert profile["sample"].maximum == (8, 4, 96, 96)
    odd = of(SD15, "buckets", "unet")[3]["sample"]
    assert odd.minimum[2:] == odd.maximum[2:] == (91, 64)
