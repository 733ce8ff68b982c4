"""The benches import each other by their folder's name."""

import sys
from pathlib import Path

import sakuga.export

sys.path.insert(0, str(Path(sakuga.export.__file__).resolve().parents[1] / "bench"))
