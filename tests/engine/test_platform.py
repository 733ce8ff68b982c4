"""Files and folders that are there whole or not at all, and locks that die with their process."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sakuga.engine import platform
from sakuga.engine.doctor import examine
from sakuga.engine.errors import BusyError
from sakuga.engine.platform import (
    allow_many_files,
    cache_folder,
    exclusive,
    fsync_file,
    fsync_folder,
    is_held,
    leftover_of,
    make_folder,
    new_file,
    replace_folder,
    write_file_atomic,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_overwritten(tmp_path: Path) -> None:
    for data in (b"first", b"", b"\r\n\x1a second"):
        write_file_atomic(tmp_path / "f", data)
        assert (tmp_path / "f").read_bytes() == data
    assert names(tmp_path) == ["f"]


def test_a_file_in_parts_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_file(tmp_path / "f") as file:
        file.write(b"first, ")
        (left,) = names(tmp_path)
        assert left.startswith(".") and leftover_of(left) == "f"
        file.write(b"second")
    assert (tmp_path / "f").read_bytes() == b"first, second"
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "f") as file:
        file.write(b"third")
        raise ZeroDivisionError
    assert (tmp_path / "f").read_bytes() == b"first, second" and names(tmp_path) == ["f"]


@pytest.mark.parametrize(
    "name",
    ["f", ".f.tmp", "f.0123456789abcdef.tmp", ".0123456789abcdef.tmp", ".f.0123456789ABCDEF.tmp",
     ".f.0123456789abcdef.tmp2", ".f.0123456789abcde.tmp"],
)  # fmt: skip
def test_other_names_are_no_leftovers(name: str) -> None:
    assert leftover_of(name) is None
    assert leftover_of(".a\n.b.png.0123456789abcdef.tmp") == "a\n.b.png"


def test_folders_are_made_with_those_above_them(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "f").touch()
    for path in (tmp_path / "f", tmp_path / "f" / "g"):
        with pytest.raises(OSError):
            make_folder(path)


@posix
def test_a_file_has_the_rights_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_file_atomic(tmp_path / "f", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_keeps_the_old_file(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_file_atomic(tmp_path / "f", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os if call == "fsync" else Path, call, fail)
        with pytest.raises(OSError, match="No space left"):
            write_file_atomic(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


@posix
def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_file_atomic(tmp_path / "f", b"data")
    assert calls == ["file", "rename", "folder"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, stop, torn = tmp_path / "f", threading.Event(), []
    versions = {bytes([number]) * 300_000 for number in range(8)}
    write_file_atomic(path, next(iter(versions)))

    def read() -> None:
        while not stop.is_set():
            if path.read_bytes() not in versions:
                torn.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for version in versions:
        write_file_atomic(path, version)
    stop.set()
    reader.join()
    assert not torn


def folder(path: Path, content: str) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(content)
    return path


def _without_exchange(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(platform, "_exchange", lambda new, target: False)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize("there", ["nothing", "folder", "empty folder"])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, exchange: bool, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        _without_exchange(monkeypatch)
    target, new = tmp_path / "target", folder(tmp_path / "work" / "new", "new")
    if there == "folder":
        (folder(target, "old") / "only in old").write_text("")
    elif there == "empty folder":
        target.mkdir()
    replace_folder(new, target)
    assert (target / "inner" / "file").read_text() == "new"
    assert names(target) == ["inner"]
    assert names(tmp_path) == ["target", "work"] and names(tmp_path / "work") == []


def test_what_an_earlier_kill_left_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_exchange(monkeypatch)
    target, new = folder(tmp_path / "target", "old"), folder(tmp_path / "work" / "new", "new")
    folder(tmp_path / ".target.old", "older")
    replace_folder(new, target)
    assert (target / "inner" / "file").read_text() == "new"
    assert names(tmp_path) == ["target", "work"] and names(tmp_path / "work") == []


def test_a_kill_between_two_renames_is_cleared_by_the_next_replacement(tmp_path: Path) -> None:
    folder(tmp_path / ".target.old", "old")
    replace_folder(folder(tmp_path / "new", "new"), tmp_path / "target")
    assert (tmp_path / "target" / "inner" / "file").read_text() == "new"
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_a_new_folder_that_cannot_be_moved_leaves_the_old_one(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        _without_exchange(monkeypatch)
    target = folder(tmp_path / "target", "old")
    with pytest.raises(OSError):
        replace_folder(tmp_path / "absent", target)
    assert (target / "inner" / "file").read_text() == "old"
    assert names(tmp_path) == ["target"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged on Linux alone")
def test_a_target_is_there_at_every_moment(tmp_path: Path) -> None:
    target = folder(tmp_path / "target", "old")
    stop, missing = threading.Event(), []

    def look() -> None:
        while not stop.is_set():
            if not (target / "inner" / "file").exists():
                missing.append(1)

    watcher = threading.Thread(target=look)
    watcher.start()
    for number in range(50):
        replace_folder(folder(tmp_path / "work" / str(number), "new"), target)
    stop.set()
    watcher.join()
    assert not missing


def test_files_and_folders_are_forced_to_the_disk(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"data")
    fsync_file(tmp_path / "f")
    fsync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_file(tmp_path / "absent")


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = tmp_path / ".model.lock"
    with exclusive(lock):
        with pytest.raises(BusyError, match="writing model") as caught, exclusive(lock):
            pass
        assert str(lock) in caught.value.note
        assert lock.exists() and is_held(lock)
    assert names(tmp_path) == [] and not is_held(lock)
    lock.touch()  # as a process leaves it that was killed
    assert not is_held(lock)
    with exclusive(lock):
        pass


def test_a_lock_is_let_go_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "lock"):
        _ = 1 / 0
    with exclusive(tmp_path / "lock"):
        pass


def test_a_lock_in_a_missing_folder_is_not_called_busy(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), exclusive(tmp_path / "absent" / "lock"):
        pass


HOLD = """
import sys, time
from pathlib import Path
from sakuga.engine.platform import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@posix
def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError), exclusive(lock):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    assert lock.exists()  # it could not tidy up, and that is no obstacle
    with exclusive(lock):
        pass
    assert names(tmp_path) == []


RACE = """
import sys
from pathlib import Path
from sakuga.engine.doctor import examine
from sakuga.engine.errors import BusyError
from sakuga.engine.platform import exclusive
lock, count = Path(sys.argv[1]), Path(sys.argv[2])
done = 0
while done < 100:
    try:
        with exclusive(lock):
            number = int(count.read_text())
            count.write_text(str(number + 1))
            done += 1
    except BusyError:
        pass
"""


@posix
def test_racing_processes_never_hold_a_lock_together(tmp_path: Path) -> None:
    """Each adds 100 to a number in a file; one lost update would show two holders at once."""
    (tmp_path / "count").write_text("0")
    args = [sys.executable, "-c", RACE, tmp_path / "lock", tmp_path / "count"]
    racers = [subprocess.Popen(args) for _ in range(3)]
    assert [racer.wait() for racer in racers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "300"


@posix
def test_the_cache_folder_is_private_and_where_the_user_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "sakuga"
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert cache_folder() == tmp_path / "home" / ".cache" / "sakuga"


@posix
def test_a_user_without_a_home_gets_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(OSError, match="no home folder"):
        cache_folder()
    assert "no home folder" in examine()["cache"]


def test_tests_stay_out_of_the_user_s_home(private_cache: Path) -> None:
    assert cache_folder() == private_cache / "sakuga"


@posix
def test_more_files_may_be_open_than_at_first() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        allow_many_files()
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert 256 < now <= 1 << 14 and most == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
