"""The verb that renders."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from sakuga.engine.asked import said
from sakuga.engine.errors import UsageError
from sakuga.engine.option_types import BYTES, SEED, SIZE, SPAN
from sakuga.engine.outputs import find_target
from sakuga.engine.place import Place
from sakuga.engine.plans import BACKENDS
from sakuga.engine.render_file import (
    Again,
    FileOrder,
    JobSource,
    check_alone,
    check_without_file,
    render_file,
    show_status,
)
from sakuga.engine.render_prompt import Asked, render_prompt
from sakuga.engine.stage_options import stage_options, stages_given
from sakuga.profiles.buckets import Size

if TYPE_CHECKING:
    from sakuga.engine.jobs.enlist import Changed

PATH = click.Path(path_type=Path)


@click.command(short_help="Render a prompt, a file of jobs, or a picture again, with a bundle.")
@click.argument("bundle", type=PATH, required=False)
@click.argument("prompt", required=False)
@click.option("--jobs", type=PATH, help="Job file: .jsonl, .csv or .txt.")
@click.option("--from", "picture", type=PATH, help="Picture to make again.")
@click.option("--ignore", help="Settings of that picture to leave out, such as model,hires.")
@click.option("--out", type=PATH, help="Folder, or one picture's file.")
@click.option(
    "--format",
    type=click.Choice(["png", "webp", "jpeg"], case_sensitive=False),
    help="[default: what --out says, else png]; webp keeps every pixel unless --quality is given.",
)
@click.option("--quality", type=int, help="Of webp and jpeg, 1 to 100 [default of jpeg: 95].")
@click.option("--negative", help="Negative prompt.")
@click.option("--width", type=int, help="Pixels [default: the preset's, else the family's].")
@click.option("--height", type=int, help="Pixels [default: the preset's, else the family's].")
@click.option("--steps", type=int, help="[default: the preset's, else 28]")
@click.option("--guidance", type=float, help="CFG scale, 1: off [default: the preset's, else 7].")
@click.option(
    "--guidance-interval", type=SPAN, help="Guide in this part of the steps alone, such as 0.2-0.8."
)
@click.option("--sampler", help='Such as "DPM++ 2M" [default: the preset\'s, else Euler a].')
@click.option("--schedule", help='Such as "Karras" [default: the sampler\'s own].')
@click.option("--eta", type=float, help="Noise put back at each step [default: the sampler's own].")
@click.option("--s-noise", type=float, help="Scale of the noise drawn [default: 1].")
@click.option("--seed", type=SEED, help="-1: a random one, which is also the default.")
@click.option("--rng", help="Noise source: NV, CPU or ComfyUI [default: the compat tool's].")
@click.option("--variation-seed", type=SEED, help="Whose noise the seed's turns to; -1: any.")
@click.option("--variation-strength", type=float, help="How far it turns, from 0 to 1.")
@click.option("--seed-resize", type=SIZE, help="Size at which the seed made what to keep.")
@click.option("--ensd", type=int, help="Eta noise seed delta [default: 0].")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=1,
    help="Pictures of the prompt [default: 1]; seed, or variation seed, counts up.",
)
@click.option(
    "--compat",
    type=click.Choice(["a1111", "comfy", "diffusers"], case_sensitive=False),
    help="The tool whose rules to follow [default: a1111].",
)
@click.option("--clip-skip", type=int, help="Counted as the compat tool counts.")
@click.option("--preset", help="Preset to use instead of the bundle's own; none: without one.")
@click.option("--emphasis", help="What weights do in A1111: Original, No norm, Ignore or None.")
@click.option("--pad-conds", is_flag=True, help="Pad the shorter of both prompts, as A1111 can.")
@click.option("--no-prefix", is_flag=True, help="Leave the preset's tags out of the prompt.")
@stage_options
@click.option(
    "--embeddings",
    type=PATH,
    help="Folder of textual inversions (.safetensors, .pt, .bin); prompts say their names.",
)
@click.option("--upscalers", type=PATH, help="Folder of what `sakuga build-upscaler` makes.")
@click.option("--detectors", type=PATH, help="Folder of YOLO detectors (.onnx).")
@click.option("--threads", type=int, help="Threads of the networks [default: all cores].")
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Where to render [default: the bundle's plans, else the best there is].",
)
@click.option("--vram", type=BYTES, help="GPU memory to use, such as 8G [default: what is free].")
@click.option(
    "--wildcards",
    type=PATH,
    help="With --jobs: folder in which __NAME__ of a prompt is NAME.txt.",
)
@click.option("--names", help="With --jobs: file names, such as {preset}/{index} [default: {id}].")
@click.option("--retry-failed", is_flag=True, help="With --jobs: try again what failed before.")
@click.option(
    "--changed",
    type=click.Choice(["stop", "redo", "keep"]),
    default="stop",
    help="With --jobs: what to do with pictures whose settings have changed [default: stop].",
)
@click.option("--verify", is_flag=True, help="With --jobs: read every picture that is there.")
@click.option(
    "--shards",
    type=click.Choice(["webdataset"]),
    help="With --jobs: also pack all pictures, with prompts and settings, into tar files.",
)
@click.option("--shard-size", type=BYTES, default="1G", help="Of each of them [default: 1G].")
@click.option("--ray", metavar="ADDRESS", help="With --jobs: on a Ray cluster, HOST:PORT or auto.")
@click.option("--shard", metavar="I/N", help="With --jobs: the I-th of N shares, into DIR/I-of-N.")
@click.option(
    "--status",
    type=PATH,
    metavar="DIR",
    help="Say how the rendering of a job file into DIR stands, and nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a picture.")
@click.pass_context
def render(
    context: click.Context,
    bundle: Path | None,
    prompt: str | None,
    jobs: Path | None,
    picture: Path | None,
    ignore: str | None,
    out: Path | None,
    format: str | None,
    quality: int | None,
    negative: str | None,
    width: int | None,
    height: int | None,
    steps: int | None,
    guidance: float | None,
    guidance_interval: tuple[float, float] | None,
    sampler: str | None,
    schedule: str | None,
    eta: float | None,
    s_noise: float | None,
    seed: int | None,
    rng: str | None,
    variation_seed: int | None,
    variation_strength: float | None,
    seed_resize: Size | None,
    ensd: int | None,
    count: int,
    compat: str | None,
    clip_skip: int | None,
    preset: str | None,
    emphasis: str | None,
    pad_conds: bool,
    no_prefix: bool,
    embeddings: Path | None,
    upscalers: Path | None,
    detectors: Path | None,
    threads: int | None,
    backend: str | None,
    vram: int | None,
    wildcards: Path | None,
    names: str | None,
    retry_failed: bool,
    changed: str,
    verify: bool,
    shards: str | None,
    shard_size: int,
    ray: str | None,
    shard: str | None,
    status: Path | None,
    as_json: bool,
) -> None:
    """Render a PROMPT, every job of a job file, or a picture again, with BUNDLE.

    Prints the path of each picture as it lands on the disk. A prompt gives NUMBER-SEED.png with
    the next free number. A job gives ID.png and replaces a file of that name; the same command
    again goes on behind what is done. The preset adds its tags to the prompt and gives the negative
    prompt where there is none; not with compat diffusers. With --from, other options change what
    the picture says; a picture that began from another needs that one once more, as --init, and its
    --mask.
    """
    if status is not None:
        return show_status(status, as_json)
    options = {
        "prompt": prompt,
        "negative_prompt": negative,
        "width": width,
        "height": height,
        "steps": steps,
        "guidance": guidance,
        "guidance_interval": guidance_interval,
        "sampler": sampler,
        "schedule": schedule,
        "eta": eta,
        "s_noise": s_noise,
        "seed": seed,
        "rng": rng,
        "variation_seed": variation_seed,
        "variation_strength": variation_strength,
        "seed_resize": seed_resize,
        "ensd": ensd,
        "compat": compat,
        "clip_skip": clip_skip,
        "emphasis": emphasis,
        "pad_conds": pad_conds or None,
        "prefix": "none" if no_prefix else None,
    }
    given: dict[str, Any] = {name: each for name, each in options.items() if each is not None}
    bundle, out = _required(bundle, "BUNDLE"), _required(out, "--out")
    target = find_target(out, format, quality, count)
    place = Place(backend, preset, threads, vram, embeddings, upscalers, detectors, ray)
    if jobs is not None:
        check_alone(context, target)
        again = Again(retry_failed, cast("Changed", changed), verify)
        packed = shard_size if shards else None
        source = JobSource(jobs, wildcards, names, shard)
        return render_file(
            FileOrder(bundle, source, target, place, again, packed, as_json, said(context))
        )
    check_without_file(context)
    asked = Asked(prompt, picture, given, stages_given(context), ignore or "", count)
    return render_prompt(bundle, asked, target, place, as_json)


def _required(value: Path | None, name: str) -> Path:
    if value is None:
        raise UsageError(
            f"{name} is missing.",
            hint='sakuga render BUNDLE "1girl, smile" --out DIR; for many, --jobs FILE is in place '
            "of the prompt.",
        )
    return value
