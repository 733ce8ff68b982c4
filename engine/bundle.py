"""A bundle: the directory `sakuga build` makes and everything else reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from sakuga.engine.digests import DigestMemory
from sakuga.engine.errors import BundleDamagedError, BundleError, BundleFormatError
from sakuga.engine.manifest import MANIFEST, FileEntry, Manifest, parse_manifest
from sakuga.profiles.families import FAMILIES, Family
from sakuga.profiles.networks import networks

EMBEDDINGS = "text/embeddings.safetensors"  # where a bundle has embeddings of its own


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. Its files have been checked against the manifest."""

    path: Path
    manifest: Manifest
    family: Family

    def graph(self, network: str) -> Path:
        """The ONNX graph of a network; its weights lie beside it."""
        return self.path / self.manifest.networks[network].graph

    def token_embedding(self, encoder: str) -> Path:
        """The token embedding table of a text encoder, a .npy file of [49408, hidden]."""
        return self.path / self.manifest.token_embeddings[encoder]

    @property
    def tokenizer(self) -> Path:
        """The tokenizer.json of the bundle."""
        return self.path / self.manifest.tokenizer

    @property
    def embeddings(self) -> Path | None:
        """The textual inversions that came with its LoRAs, a .safetensors file, if any did."""
        return self.path / EMBEDDINGS if EMBEDDINGS in self.manifest.files else None


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and check every file in it.

    Raises BundleFormatError for anything that is no bundle of this schema, BundleDamagedError for
    a file that is missing or differs from what was built.
    """
    while True:
        manifest = read_manifest(path)
        try:
            return _checked(path, manifest)
        except BundleError:
            if read_manifest(path) == manifest:  # else a build replaced the bundle meanwhile
                raise


def _checked(path: Path, manifest: Manifest) -> Bundle:
    family = FAMILIES.get(manifest.family)
    if family is None:
        raise BundleFormatError(
            f"The bundle's family {manifest.family!r} is unknown.",
            note=f"Known are {', '.join(FAMILIES)}.",
            hint="Upgrade Sakuga, or build the bundle again.",
        )
    _check_complete(path, manifest, family)
    if fault := file_fault(path, manifest.files):
        raise _damaged(path, fault)
    return Bundle(path, manifest, family)


def read_manifest(path: Path) -> Manifest:
    """The manifest of the bundle at `path`, nothing else checked. Raises BundleFormatError."""
    if not path.exists():
        raise BundleFormatError(
            f"There is no bundle at {path}.",
            hint=f"Make one: sakuga build MODEL --out {path}",
        )
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BundleFormatError(
            f"{path} is not a Sakuga bundle.",
            note=f"A bundle is a folder with a {MANIFEST}; here it cannot be read.",
            hint=f"Make a bundle: sakuga build MODEL --out {path.with_suffix('.sakuga')}",
        ) from error
    return parse_manifest(text)


def check_same(bundle: Bundle) -> None:
    """Raises BundleError where another bundle has taken this one's place since it was opened."""
    if read_manifest(bundle.path) != bundle.manifest:
        raise BundleError(
            f"The bundle {bundle.path} was replaced while it was being opened.",
            note="Its files may come from two different builds.",
            hint="Run the command again.",
        )


def _check_complete(path: Path, manifest: Manifest, family: Family) -> None:
    encoders = {config.name for config in family.text_encoders}
    absent = (networks(family).keys() - manifest.networks.keys()) | (
        encoders - manifest.token_embeddings.keys()
    )
    graphs = [entry.graph for entry in manifest.networks.values()]
    graphs += [manifest.exact_decoder] if manifest.exact_decoder else []
    plans = [plan.file for made in manifest.plans.values() for plan in made.plans.values()]
    used = {manifest.tokenizer, *manifest.token_embeddings.values(), *graphs, *plans}
    unlisted = used - manifest.files.keys()
    if absent or unlisted:
        raise BundleFormatError(
            f"The manifest of {path} is incomplete.",
            note=f"It says nothing of {', '.join(sorted(absent | unlisted))}.",
            hint="Build the bundle again with `sakuga build`.",
        )
    if stray := outside(manifest.files):
        raise BundleFormatError(
            f"The manifest of {path} names a file outside it: {stray!r}.",
            hint="Do not use this bundle; build one from the checkpoint yourself.",
        )


def outside(names: Iterable[str]) -> str | None:
    """The first of the names that leads out of the folder it is meant to lie in, if one does."""
    for name in names:
        windows = PureWindowsPath(name)  # splits at both kinds of slash
        rooted = bool(windows.anchor) or PurePosixPath(name).is_absolute()
        if rooted or ".." in windows.parts:
            return name
    return None


def file_fault(folder: Path, entries: Mapping[str, FileEntry]) -> str:
    """In what way the files of a folder are not what was written; empty where they all are."""
    files = {name: folder / name for name in entries}
    try:
        for name, file in files.items():
            if not file.is_file():
                return f"{name} is missing."
            size, expected = file.stat().st_size, entries[name].size_bytes
            if size != expected:
                return f"{name} has {size:,} bytes, {expected:,} were written."
        for name, digest in DigestMemory().sha256s(files).items():
            if digest != entries[name].sha256:
                return f"{name} has changed since it was built (SHA-256 {digest[:10]}…)."
    except OSError as error:
        return f"{error.filename} cannot be read: {error.strerror}."
    return ""


def _damaged(path: Path, what: str) -> BundleDamagedError:
    return BundleDamagedError(
        f"The bundle {path} is damaged.",
        note=what,
        hint="Build it again with `sakuga build`, or copy it again from where it is whole.",
    )
