"""From a file to a folder that enlarges as spandrel does, and from other files to an error."""

import hashlib
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hand_made_upscalers import psnr, scene, whole
from safetensors.torch import save_file
from upscaler_files import Module, as_input, compact, dat, enlarged, enlarged_values, save

from sakuga.engine.backend.onnxruntime import OnnxSession
from sakuga.engine.bundle import open_bundle
from sakuga.engine.errors import (
    BuildError,
    BundleFormatError,
    MissingDependencyError,
    TensorError,
    UnknownFamilyError,
    UsageError,
)
from sakuga.engine.refine.upscaler import Upscaler
from sakuga.engine.refine.upscalers import Upscalers
from sakuga.engine.upscaler_folder import SideRule, UpscalerFolder, open_upscaler
from sakuga.export.build import build
from sakuga.export.checkpoint.sources import Array
from sakuga.export.inspect import inspect
from sakuga.export.relative_error import relative_error
from sakuga.export.upscaler.build import build_upscaler
from sakuga.export.upscaler.command import build_upscaler as command
from sakuga.export.upscaler.library import spandrel_library
from sakuga.export.upscaler.options import UpscalerOptions, usual_overlap

ODD = ((33, 47), (16, 61))


@pytest.fixture(scope="module")
def network() -> Module:
    return compact()


@pytest.fixture(scope="module")
def file(network: Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(network, tmp_path_factory.mktemp("files") / "anime x2.pth")


@pytest.fixture(scope="module")
def built(file: Path) -> UpscalerFolder:
    return build_upscaler(file, file.with_name("anime.upscaler"))


def opened(folder: UpscalerFolder) -> OnnxSession:
    return OnnxSession(folder.graph("float32"))


def errors(
    module: Module, folder: UpscalerFolder, sizes: Sequence[tuple[int, int]] = ODD
) -> list[float]:
    """Of the float32 graph against torch, at sizes that it was not traced at."""
    session, found = opened(folder), []
    for size in sizes:
        picture, sides = scene(*size), folder.manifest.sides
        (got,) = session.run({"image": as_input(picture, sides)}).values()
        wanted = enlarged_values(module, picture, sides)
        found.append(relative_error(got[0].transpose(1, 2, 0), wanted))
    return found


def test_the_graph_computes_what_the_network_does(network: Module, built: UpscalerFolder) -> None:
    assert max(errors(network, built)) <= 1e-4
    picture = scene(60, 70)
    got = whole(Upscaler(built, opened(built)).once(picture))
    assert psnr(got, enlarged(network, picture)) >= 60
    assert got.std() > 30  # a flat grey would prove nothing


def test_a_small_dat(tmp_path: Path) -> None:
    """Windows, shifts and masks at sides they do not divide; and nothing in float16."""
    module = dat()
    made = build_upscaler(save(module, tmp_path / "DAT_x2.pth"), tmp_path / "dat.upscaler")
    assert max(errors(module, made, ODD[:1])) <= 1e-4
    assert made.manifest.graphs.keys() == {"float32"}
    assert (made.manifest.window, made.manifest.sides) == (8, SideRule(16, 1, square=False))
    assert made.manifest.architecture.startswith("DAT ")
    picture = scene(13, 40)  # too low for the network
    got = whole(Upscaler(made, opened(made)).once(picture))
    wanted = enlarged(module, picture, made.manifest.sides)[:26]
    assert psnr(got, wanted) >= 60 and got.std() > 15


def test_float16_where_the_architecture_allows_it(network: Module, built: UpscalerFolder) -> None:
    picture = scene(40, 50)
    half = whole(Upscaler(built, OnnxSession(built.graph("float16"))).once(picture))
    full = whole(Upscaler(built, opened(built)).once(picture))
    assert 40 <= psnr(half, full) < 90  # close, and computed otherwise
    weights = [built.path / f"onnx/{each}/weights.bin" for each in ("upscaler", "upscaler_fp16")]
    assert weights[1].stat().st_size < 0.7 * weights[0].stat().st_size


def test_the_folder_says_what_it_is(file: Path, built: UpscalerFolder) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    manifest = built.manifest
    assert (manifest.sha256, manifest.hash, manifest.source) == (digest, digest[:10], file.name)
    assert (manifest.name, manifest.scale, manifest.licence) == ("anime x2", 2, "unknown")
    assert (manifest.tile, manifest.overlap, manifest.window) == (192, 8, None)
    assert {"sakuga", "torch", "spandrel"} <= manifest.exporter.keys()
    assert 0 < manifest.errors["float32"] <= 1e-6 < manifest.errors["float16"] <= 1e-2
    written = {each.relative_to(built.path).as_posix() for each in built.path.rglob("*.*")}
    assert written == {*manifest.files, "manifest.json"}
    found = Upscalers(built.path.parent).find("Anime-X2", opened)
    assert found.name == "anime x2"
    facts = inspect(built.path).facts
    assert (facts["kind"], facts["hash"]) == ("upscaler", digest[:10])


def test_options_and_a_second_build(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.upscaler"
    build_upscaler(file, out)
    options = UpscalerOptions("mine", "BSD-3-Clause", 64, 16)
    manifest = build_upscaler(file, out, options).manifest
    assert (manifest.name, manifest.licence) == ("mine", "BSD-3-Clause")
    assert (manifest.tile, manifest.overlap) == (64, 16)
    assert [each.name for each in tmp_path.iterdir()] == ["a.upscaler"]
    with pytest.raises(UsageError, match="cannot overlap"):
        UpscalerOptions(overlap=96)


def test_nothing_else_is_replaced(file: Path, built: UpscalerFolder, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"mine")
    with pytest.raises(UsageError, match="is no upscaler"):
        build_upscaler(file, tmp_path / "photos")
    with pytest.raises(UsageError, match="lies inside the upscaler"):
        build_upscaler(file, built.path / "again")
    kept = tmp_path / "kept.upscaler"
    build_upscaler(file, kept)
    (kept / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"no build put there: notes\.txt"):
        build_upscaler(file, kept)
    assert open_upscaler(kept).manifest.name == "anime x2"


def test_a_bundle_is_no_upscaler_nor_the_other_way_round(built: UpscalerFolder) -> None:
    with pytest.raises(BundleFormatError, match=r"manifest\.json is no manifest"):
        open_bundle(built.path)


FOREIGN = {
    "a LoRA": {"lora_unet_down_blocks_0.lora_down.weight": torch.ones(4, 8)},
    "a VAE": {"encoder.conv_in.weight": torch.ones(8, 3, 3, 3)},
    "no upscaler": {"linear.weight": torch.ones(3, 3)},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_upscaler_is_named(tmp_path: Path, what: str) -> None:
    save_file(FOREIGN[what], tmp_path / "a.safetensors")
    with pytest.raises(UnknownFamilyError, match=what) as error:
        build_upscaler(tmp_path / "a.safetensors", tmp_path / "a.upscaler")
    assert "1 tensor" in error.value.note and "Real-ESRGAN" in error.value.hint
    assert [each.name for each in tmp_path.iterdir()] == ["a.safetensors"]


def test_the_other_build_says_where_it_belongs(network: Module, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(UnknownFamilyError, match="is an upscaler, not a model") as error:
        build(tmp_path / "a.safetensors", tmp_path / "a.sakuga")
    assert "sakuga build-upscaler" in error.value.hint


def test_networks_of_another_purpose(tmp_path: Path) -> None:
    """One that keeps the size, and one for grey pictures."""
    for name, parameters in (("keeps", {"upscale": 1}), ("grey", {"num_in_ch": 1})):
        module = compact(**parameters) if name == "keeps" else grey()
        with pytest.raises(UnknownFamilyError, match="no upscaler of colour pictures"):
            build_upscaler(save(module, tmp_path / f"{name}.pth"), tmp_path / name)


def grey() -> Module:
    torch.manual_seed(0)
    body = [torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.PReLU(8)]
    body += [torch.nn.Conv2d(8, 8, 3, padding=1), torch.nn.PReLU(8)]
    whole = torch.nn.Module()
    whole.body = torch.nn.ModuleList([*body, torch.nn.Conv2d(8, 4, 3, padding=1)])
    return whole


def test_a_network_that_was_cut_down(network: Module, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["body.2.weight"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(TensorError, match="do not fit together") as error:
        build_upscaler(tmp_path / "a.pth", tmp_path / "a.upscaler")
    assert "body.2.weight" in error.value.note


def test_a_graph_that_is_wrong_is_not_delivered(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sakuga.export.upscaler import trace

    read = trace.TracedUpscaler.read

    def off(traced: trace.TracedUpscaler, name: str) -> Array:
        return np.asarray(read(traced, name), np.float32) * np.float32(1.01)

    monkeypatch.setattr(trace.TracedUpscaler, "read", off)
    with pytest.raises(BuildError, match="is not what its network computes"):
        build_upscaler(file, tmp_path / "a.upscaler")
    assert [*tmp_path.iterdir()] == []


def test_the_command(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.upscaler"
    done = CliRunner().invoke(command, [str(file), "--out", str(out), "--licence", "MIT"])
    assert done.exit_code == 0 and done.stdout == f"{out}\n"
    assert "x2" in done.stderr and "relative error" in done.stderr
    assert json.loads((out / "manifest.json").read_text())["licence"] == "MIT"


def test_without_spandrel_it_says_how_to_get_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "spandrel")
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    with pytest.raises(MissingDependencyError, match="needs spandrel") as error:
        build_upscaler(file, tmp_path / "a.upscaler")
    assert "sakuga[upscalers]" in error.value.hint


def test_nothing_is_left_in_torchvisions_place() -> None:
    """What asks for it afterwards, as transformers does, must not find a name without a module."""
    spandrel_library()
    assert not [name for name in sys.modules if name.partition(".")[0] == "torchvision"]
    found = find_spec("torchvision")
    assert found is None or found.origin
    assert spandrel_library().MAIN_REGISTRY.get("DAT") is not None


@pytest.mark.parametrize(
    ("multiple", "window", "overlap"), [(1, None, 8), (2, None, 8), (4, None, 16), (16, 16, 8)]
)
def test_networks_that_fold_pixels_share_more(
    multiple: int, window: int | None, overlap: int
) -> None:
    assert usual_overlap(SideRule(1, multiple, square=False), window) == overlap
