"""Pictures that are done, packed into tar files for those who train on them.

The layout is WebDataset's (https://github.com/webdataset/webdataset): files that share a name up
to the first dot are one sample. A picture has its file, its prompt as `.txt`, its settings as
`.json`. Equal pictures give equal shards, whatever happened on the way.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path, PurePosixPath

from sakuga.engine.errors import OutputError
from sakuga.engine.image.infotext import DEFAULTS
from sakuga.engine.image.infotext_parser import parse_infotext
from sakuga.engine.jobs.ledger import Ledger
from sakuga.engine.jobs.records import Done, done, notes_like
from sakuga.engine.platform import leftover_of, make_folder, new_file

FOLDER = "shards"
_NOTE = "shard "  # what the ledger keeps of each: which pictures are in it


def write_shards(out: Path, ledger: Ledger, most_bytes: int) -> list[Path]:
    """Pack every picture that is done into `out/shards`, in the job file's order; the shards.

    A shard holds pictures of at most `most_bytes`, or one. Those that are there and hold what they
    should are left alone, those that nothing belongs into any more are removed. Raises OutputError
    where a picture is no longer what was written, and OSError.
    """
    folder = out / FOLDER
    make_folder(folder)
    for left in folder.iterdir():
        if left.name.startswith(".") and (leftover_of(left.name) or "").endswith(".tar"):
            left.unlink()
    known = notes_like(ledger.connection, _NOTE)
    paths = []
    for number, pictures in enumerate(_parted(done(ledger.connection), most_bytes)):
        path, contents = folder / f"{number:05d}.tar", _digest(pictures)
        if known.pop(path.name, None) != contents or not path.is_file():
            ledger.forget(f"{_NOTE}{path.name}")
            _write(path, out, pictures)
            ledger.note(f"{_NOTE}{path.name}", contents)
        paths.append(path)
    for name in known:
        (folder / name).unlink(missing_ok=True)
        ledger.forget(f"{_NOTE}{name}")
    return paths


def _parted(pictures: Iterable[Done], most_bytes: int) -> Iterator[list[Done]]:
    part: list[Done] = []
    size = 0
    for picture in pictures:
        if part and size + picture.size_bytes > most_bytes:
            yield part
            part, size = [], 0
        part.append(picture)
        size += picture.size_bytes
    if part:
        yield part


def _digest(pictures: Sequence[Done]) -> str:
    rows = [[each.id, each.path, each.sha256, each.parameters] for each in pictures]
    return sha256(json.dumps(rows).encode()).hexdigest()


def _write(path: Path, out: Path, pictures: Sequence[Done]) -> None:
    with new_file(path) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for picture in pictures:
            for name, data in _sample(out, picture):
                member = tarfile.TarInfo(name)  # of no time and nobody
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _sample(out: Path, picture: Done) -> Iterator[tuple[str, bytes]]:
    """The files of a picture, with their names."""
    data = (out / picture.path).read_bytes()
    if sha256(data).hexdigest() != picture.sha256:
        raise OutputError(
            f"{out / picture.path} is no longer what was written.",
            hint="--verify finds all such pictures, keeps them aside and renders them again.",
        )
    path = PurePosixPath(picture.path)
    # A name ends at its first dot.
    key = str(path.with_name(path.stem.replace("%", "%25").replace(".", "%2E")))
    info = parse_infotext(picture.parameters)
    settings = {name: value for name, value in asdict(info).items() if value != DEFAULTS[name]}
    settings |= {"id": picture.id, "size": picture.pixels, "parameters": picture.parameters}
    yield f"{key}{path.suffix}", data
    yield f"{key}.txt", info.prompt.encode()
    yield f"{key}.json", json.dumps(settings, ensure_ascii=False, sort_keys=True).encode()
