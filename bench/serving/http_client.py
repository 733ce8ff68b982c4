"""A client that costs next to nothing, for benches in which clients and server share the cores."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

_KEPT_S = 20.0  # less than the server keeps a connection on which nothing is asked
_MOST_HEADERS = 1 << 16


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    since: float


class HttpClient:
    """HTTP/1.1 with connections that are used again. Answers must tell their length."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def get(self, path: str) -> Answer:
        """Ask for a path. Raises OSError where the connection breaks."""
        return await self._ask("GET", path, b"")

    async def post(self, path: str, json: bytes) -> Answer:
        """Send a body. Raises OSError where the connection breaks."""
        return await self._ask("POST", path, json)

    def close(self) -> None:
        """Close what is not in use."""
        for each in self._idle:
            each.writer.close()
        self._idle.clear()

    async def _ask(self, method: str, path: str, body: bytes) -> Answer:
        connection = await self._connected()
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        try:
            connection.writer.write(head.encode() + body)
            answer = await _read(connection.reader)
        except BaseException as error:
            connection.writer.close()
            if isinstance(error, asyncio.IncompleteReadError):
                raise ConnectionError("the server has closed the connection") from error
            raise
        self._idle.append(_Connection(connection.reader, connection.writer, perf_counter()))
        return answer

    async def _connected(self) -> _Connection:
        while self._idle:
            found = self._idle.pop()
            if perf_counter() - found.since < _KEPT_S and not found.reader.at_eof():
                return found
            found.writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_MOST_HEADERS)
        return _Connection(reader, writer, perf_counter())


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    pairs = (line.partition(": ") for line in lines if line)
    headers = {name.lower(): value for name, _, value in pairs}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answer(int(first.split()[1]), headers, body)
