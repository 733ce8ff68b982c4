"""What HTTP costs a request: a picture of one step through the server, and without it.

    python bench/http_overhead.py [--pictures 100]

In turns, one at a time: from a server, by the API that waits for its pictures, with JSON and base64
and a connection that is kept; and from the same kind of engine process, asked as the server asks
it. The tiny model.
"""

import argparse
import asyncio
import base64
import json
from pathlib import Path
from time import perf_counter

from common import Figure, median, report, small_model, work_folder
from serving.http_client import HttpClient
from serving.http_server import HttpServer

from sakuga.engine.image.formats import PNG
from sakuga.engine.runtime.request import Request
from sakuga.engine.serve.messages import Ask, FromEngine, Made, Opened, Opening, Stop
from sakuga.engine.serve.process import EngineProcess

SIDE, WARM_UPS = 128, 5
BAR_MS = 5.0


class Direct:
    """An engine process with nothing around it."""

    def __init__(self, bundle: Path) -> None:
        self._heard: asyncio.Queue[FromEngine] = asyncio.Queue()
        self._process = EngineProcess(Opening(bundle), self._heard.put_nowait, lambda: None)

    async def opened(self) -> None:
        """Until it can render."""
        while not isinstance(await self._heard.get(), Opened):
            pass

    async def render(self, request: Request, number: int) -> bytes:
        """A picture's file."""
        self._process.send(Ask(("direct", number), request, PNG))
        while not isinstance(message := await self._heard.get(), Made):
            pass
        return message.data

    async def close(self) -> None:
        """Stop it."""
        await self._process.stop(Stop())


async def measured(port: int, bundle: Path, pictures: int) -> tuple[list[float], list[float]]:
    """Seconds of each picture: over HTTP, and without."""
    direct, http = Direct(bundle), HttpClient(port)
    await direct.opened()
    over, without = [], []
    for seed in range(pictures + WARM_UPS):
        request = Request("1girl, hat", width=SIDE, height=SIDE, steps=1, seed=seed)
        asked = {"prompt": "1girl, hat", "size": f"{SIDE}x{SIDE}", "steps": 1, "seed": seed}
        start = perf_counter()
        answer = await http.post("/v1/images/generations", json.dumps(asked).encode())
        between = perf_counter()
        file = await direct.render(request, seed)
        end = perf_counter()
        assert base64.b64decode(json.loads(answer.body)["data"][0]["b64_json"]) == file
        over.append(between - start)
        without.append(end - between)
    http.close()
    await direct.close()
    return over[WARM_UPS:], without[WARM_UPS:]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100)
    arguments = parser.parse_args()
    with work_folder() as folder:
        bundle = small_model("sdxl-tiny", folder)[1]
        with HttpServer(bundle) as server:
            over, without = asyncio.run(measured(server.port, bundle, arguments.pictures))
    more = [1e3 * (one - other) for one, other in zip(over, without, strict=True)]
    figures = [
        Figure("over HTTP, more, median", median(more), "ms", BAR_MS),
        Figure("over HTTP", 1e3 * median(over), "ms"),
        Figure("without", 1e3 * median(without), "ms"),
    ]
    report("http_overhead", figures, {"pictures": arguments.pictures, "side": SIDE})


if __name__ == "__main__":
    main()
