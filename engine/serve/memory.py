"""Memory of the machine, as A1111 tells it."""

from pathlib import Path
from typing import Any

_MEMINFO = Path("/proc/meminfo")


def memory() -> dict[str, Any]:
    """`ram` in bytes: free, used, total; an error where the system does not say."""
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
        known = {line.partition(":")[0]: 1024 * int(line.split()[1]) for line in lines}
        total, free = known["MemTotal"], known["MemAvailable"]
    except (OSError, KeyError, ValueError):
        return {"ram": {"error": "unavailable"}, "cuda": {"error": "unavailable"}}
    ram = {"free": free, "used": total - free, "total": total}
    return {"ram": ram, "cuda": {"error": "unavailable"}}
