"""What differs between operating systems: durable renames, locks, folders for a user's own files.

Both branches are written; a type checker reads the one of the platform it runs on.
"""

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sakuga.engine.errors import BusyError

_O_BINARY = getattr(os, "O_BINARY", 0)  # Windows alone has it
# What locking a held file raises: the first on POSIX, the second on Windows.
_HELD = (BlockingIOError, PermissionError)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_MANY_FILES = 1 << 14


def fsync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Force a folder's entries to the disk. Windows has no such call and needs none for renames."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all: temp, fsync, rename, fsync folder."""
    with new_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to be written in the block, which takes its place at `path` when all of it is on the
    disk; after an exception nothing has happened."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _O_BINARY, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def leftover_of(name: str) -> str | None:
    """The name of the file that `new_file` was writing where it was killed, leaving a file called
    `name`; None where this is no such name."""
    found = re.fullmatch(r"\.(.+)\.[0-9a-f]{16}\.tmp", name, re.DOTALL)
    return found and found[1]


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably. One that is there is no error."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        fsync_folder(path.parent)


def replace_folder(new: Path, target: Path) -> None:
    """Put the finished folder `new` in the place of `target`.

    Where the file system can exchange two names (Linux) there is no moment without a target; else
    the old folder stands beside it as `.name.old` for the instant between two renames, and comes
    back where the second fails. The old folder is removed.
    """
    old = target.with_name(f".{target.name}.old")
    if not target.exists():
        new.rename(target)
    elif _exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)  # the old folder; the new one is in place
    else:
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
        try:
            new.rename(target)
        except BaseException:
            old.rename(target)
            raise
    shutil.rmtree(old, ignore_errors=True)
    fsync_folder(target.parent)


def _exchange(a: Path, b: Path) -> bool:
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    done = renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE)
    if done != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(b))
    return bool(done == 0)


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path` for the block. Raises BusyError where another process holds it.

    The lock belongs to the open file, so it dies with its process; the file itself is removed.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            if not _same_file(descriptor, path):  # its last holder removed it meanwhile
                os.close(descriptor)
                continue
        except OSError as error:
            os.close(descriptor)
            if not isinstance(error, _HELD):
                raise
            raise BusyError(
                f"Another process is writing {path.name.removeprefix('.').removesuffix('.lock')}.",
                note=f"It holds the lock {path}.",
                hint="Wait for it to finish, or stop it, then run the command again.",
            ) from error
        break
    try:
        yield
    finally:
        if sys.platform == "win32":
            os.close(descriptor)
        with contextlib.suppress(OSError):  # one that stays is held by nobody
            path.unlink()
        if sys.platform != "win32":
            os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file `path` now."""
    try:
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        _lock(descriptor)
    except _HELD:
        return True
    finally:
        os.close(descriptor)
    return False


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def allow_many_files() -> None:
    """Let this process have as many files and connections open as the system lets it have: most
    systems let it ask for far more than it begins with."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(_MANY_FILES, hard) if hard != resource.RLIM_INFINITY else _MANY_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def cache_folder() -> Path:
    """The user's private cache folder for Sakuga, created with mode 0700.

    Raises OSError where it cannot be made, for a user without a home folder, and where others
    could put files into it: below a folder everyone may write to, or owned by somebody else.
    """
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")
    folder = base / "sakuga"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if sys.platform != "win32":
        _check_private(folder)
    return folder


def config_folder() -> Path | None:
    """The user's folder of settings for Sakuga, which need not exist; None for a user without one.

    $XDG_CONFIG_HOME/sakuga, else ~/.config/sakuga; on Windows %APPDATA%\\sakuga.
    """
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("APPDATA") or _home() / "AppData" / "Roaming")
        else:
            base = Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config")
    except OSError:
        return None
    return base / "sakuga"


def _check_private(folder: Path) -> None:
    status, above = folder.stat(), folder.parent.stat()
    if above.st_mode & 0o002 or status.st_uid != os.geteuid():
        reason = "not private: set XDG_CACHE_HOME to a folder that only you can write to"
        raise PermissionError(errno.EACCES, reason, str(folder))
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise FileNotFoundError(errno.ENOENT, "this user has no home folder") from error


def peak_memory_bytes() -> int | None:
    """The most memory this process, or one it has waited for, has held at once.

    None on Windows, which does not say it of processes that are gone.
    """
    if sys.platform == "win32":
        return None
    import resource

    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(kind).ru_maxrss for kind in kinds)
    return peak if sys.platform == "darwin" else peak * 1024


def free_memory_bytes() -> int | None:
    """Memory a process could take without swapping; None where the system does not say."""
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.free_physical)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    return found[0] * 1024 if found else None


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total_physical", ctypes.c_uint64),
        ("free_physical", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("free_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("free_virtual", ctypes.c_uint64),
        ("free_extended_virtual", ctypes.c_uint64),
    )
