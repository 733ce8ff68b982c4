"""kill -9 in the middle of a build: the old bundle or the new one, and nothing in the way."""

import subprocess
import sys
from pathlib import Path

import pytest

from sakuga.engine.bundle import Bundle, open_bundle
from sakuga.export.build import build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")

# A process that imports once and forks a child for every build it kills. Two models take turns,
# so that old and new can be told apart. Prints, for each kill, how far the build was.
RANDOM_KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from sakuga.engine.bundle import open_bundle
from sakuga.export.build import build

models, out, kills = sys.argv[1:3], Path(sys.argv[3]), int(sys.argv[4])
families = [build(model, out).family.name for model in models]
start = time.monotonic()
build(models[0], out)
seconds = time.monotonic() - start
random.seed(0)
for number in range(kills):
    pid = os.fork()
    if pid == 0:
        build(models[number % 2], out)
        os._exit(0)
    time.sleep(seconds * 1.2 * (number + random.random()) / kills)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert open_bundle(out).family.name in families
    left = sorted(name for name in os.listdir(out.parent) if name.startswith("."))
    print("finished" if os.WIFEXITED(status) and not os.WEXITSTATUS(status) else "killed", *left)
"""

# A build that kills itself at one exact moment.
KILL_AT = """
import os, signal, sys
from sakuga.engine import platform
from sakuga.export import build

def die(*args):
    os.kill(os.getpid(), signal.SIGKILL)

def and_die(call):
    def wrapped(*args):
        call(*args)
        die()
    return wrapped

moment, model, out = sys.argv[1:]
if moment == "before the exchange":
    platform._exchange = die
elif moment == "after the exchange":
    platform._exchange = and_die(platform._exchange)
elif moment == "before the digests are remembered":
    build._remember = die
else:
    platform._exchange = lambda new, target: False
    rename, left = platform.Path.rename, [1 if moment == "between two renames" else 2]
    def counted(path, target):
        rename(path, target)
        left[0] -= 1
        if left[0] == 0:
            die()
    platform.Path.rename = counted
build.build(model, out)
"""


@pytest.mark.parametrize("kills", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_random_kills_leave_a_whole_bundle(
    sd15_file: Path, sdxl_file: Path, tmp_path: Path, kills: int
) -> None:
    out = tmp_path / "place" / "model.sakuga"
    args = [sys.executable, "-c", RANDOM_KILLS, sdxl_file, sd15_file, out, str(kills)]
    done = subprocess.run(args, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    fates = done.stdout.splitlines()
    assert len(fates) == kills
    # The kills struck where they should: some of the builds were well under way.
    assert sum(".model.sakuga.building" in fate for fate in fates) >= kills // 3
    build(sd15_file, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    "moment, expected",
    [
        ("before the exchange", "sd15-tiny"),
        ("after the exchange", "sdxl-tiny"),
        ("before the digests are remembered", "sdxl-tiny"),
        ("between two renames", None),
        ("after two renames", "sdxl-tiny"),
    ],
)
def test_a_kill_at_the_worst_moments(
    moment: str,
    expected: str | None,
    sd15_file: Path,
    sdxl_file: Path,
    sdxl_bundle: Bundle,
    tmp_path: Path,
) -> None:
    out = tmp_path / "place" / "model.sakuga"
    build(sd15_file, out)
    done = subprocess.run([sys.executable, "-c", KILL_AT, moment, sdxl_file, out])
    assert done.returncode == -9
    if expected is None:
        assert not out.exists()  # where names cannot be exchanged there is such an instant
    else:
        assert open_bundle(out).family.name == expected
    assert build(sdxl_file, out).manifest == sdxl_bundle.manifest
    assert [path.name for path in out.parent.iterdir()] == [out.name]
