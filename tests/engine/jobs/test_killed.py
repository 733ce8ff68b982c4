"""kill -9 while a job file is rendered: nothing lost, nothing twice, nothing torn.

In the slow test networks make the pictures, and the command line is what is killed.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sakuga.engine.bundle import Bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks and kills")

HERE = Path(__file__).parent
IN_FLIGHT = 4 + 2 * 4  # what a painter has at once, more than a processor, and four writers

# A process that imports once and forks a child for every rendering it kills: some time after the
# child has said of some number of pictures that they are done. When all is done it begins anew,
# until it has killed often enough; then the last rendering is left to finish.
KILLS = """
import hashlib, json, os, random, shutil, signal, sqlite3, sys, time
from pathlib import Path

here, bundle, jobs, out, kills, pictures, delay, kind = sys.argv[1:]
out, kills, pictures, delay = Path(out), int(kills), int(pictures), float(delay)
sys.path.insert(0, here)
if kind == "networks":
    import onnxruntime
from conftest import Painter
from sakuga.__main__ import main
from sakuga.engine.bundle import open_bundle
from sakuga.engine.jobs.batch import Batch
from sakuga.engine.jobs.enlist import BatchOptions
from sakuga.engine.jobs.folder import claimed
from sakuga.engine.jobs.jobfile import read_jobs

def paint(folder):
    painter, options = Painter(open_bundle(Path(bundle))), BatchOptions()
    with claimed(folder) as ledger:
        batch = Batch(painter, read_jobs(Path(jobs)), folder, ledger, options)
        for outcome in batch.run():
            print(outcome.task.path, flush=True)
        batch.write_views()
    sys.exit(0)

def render(folder):
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(here, 1), os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            if kind == "painter":
                paint(folder)
            main(["render", bundle, "--jobs", jobs, "--out", str(folder), "--threads", "1"])
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(ended.code)  # ONNX Runtime cannot end where it was not begun
    os.close(here)
    return pid, open(there, buffering=1)

def finished(pid, said):
    said.read()
    said.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def tree(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and ".sakuga" not in path.parts
    }

def rows():
    path = out / ".sakuga" / "ledger.sqlite"
    if not path.exists():
        return {}
    connection = sqlite3.connect(path)
    try:
        return {
            path: (sha256, attempts)
            for path, sha256, attempts in connection.execute(
                "SELECT path, sha256, attempts FROM jobs WHERE state = 'done'"
            )
        }
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error), error
        return {}
    finally:
        connection.close()

def check():
    seen, done = tree(out) if out.exists() else {}, rows()
    for path, digest in seen.items():
        assert Path(path).name.startswith(".") or whole[path] == digest, f"{path} is torn"
    for path, (digest, attempts) in done.items():
        assert seen.get(path) == digest == whole[path], f"{path} is lost"
        assert attempts == 1, f"{path} was rendered {attempts} times"
    pictures = {path for path in seen if path.endswith(".png") and path[0] not in ".c"}
    return len(done), len(pictures - done.keys())

whole = out.with_name("whole") / out.name
assert finished(*render(whole)) == 0
whole = tree(whole)
random.seed(0)
struck, orphans, passes = [], 0, 0
while len(struck) < kills:
    pid, said = render(out)
    for _ in range(random.randrange(pictures + 1)):
        if not said.readline():
            break
    time.sleep(delay * random.random())
    os.kill(pid, signal.SIGKILL)
    code = finished(pid, said)
    done, left = check()
    if code == 0:
        assert tree(out) == whole
        shutil.rmtree(out)
        passes += 1
    else:
        assert code == -9, code
        struck.append(done)
        orphans = max(orphans, left)
assert finished(*render(out)) == 0
check()
assert tree(out) == whole
print(json.dumps({"struck": struck, "orphans": orphans, "passes": passes}))
"""


def killed(
    kind: str, bundle: Bundle, folder: Path, jobs: int, kills: int, pictures: int, delay: float
) -> dict[str, Any]:
    file = folder / "jobs.jsonl"
    line = {"prompt": "1girl", "width": 128, "height": 128, "steps": 1, "guidance": 1}
    lines = (line | {"id": f"p{i:04d}", "seed": i} for i in range(jobs))
    file.write_text("\n".join(map(json.dumps, lines)))
    arguments = [HERE, bundle.path, file, folder / "out", kills, pictures, delay, kind]
    done = subprocess.run(
        [sys.executable, "-P", "-c", KILLS, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert len(found["struck"]) == kills
    return found


def test_killed_while_pictures_are_written(sd15_bundle: Bundle, memory: Path) -> None:
    found = killed("painter", sd15_bundle, memory, 60, kills=30, pictures=9, delay=0.02)
    assert found["orphans"] <= IN_FLIGHT and found["passes"] >= 2
    assert sum(0 < done < 60 for done in found["struck"]) >= 15, "they strike in the middle"


@pytest.mark.slow
def test_killed_three_hundred_times(sd15_bundle: Bundle, tmp_path: Path) -> None:
    found = killed("networks", sd15_bundle, tmp_path, 200, kills=300, pictures=20, delay=0.5)
    assert found["orphans"] <= IN_FLIGHT and found["passes"] >= 5
    assert sum(0 < done < 200 for done in found["struck"]) >= 200
