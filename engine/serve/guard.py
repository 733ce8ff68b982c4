"""What every request passes first: its token, its size, and whether there is room for a job.

All of it before the body is read, so that a server under load refuses in microseconds.
"""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NoReturn

from sakuga.engine.errors import OverloadedError
from sakuga.engine.serve.answers import RETRY_AFTER_S, error_body
from sakuga.engine.serve.holding import Holding
from sakuga.engine.serve.served import Served

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_JOB_BYTES = 1 << 20  # of a body that asks for pictures of words alone
MAX_BYTES = 32 << 20  # of one with a picture in it


class RefusedError(Exception):
    """A body that is not read any further."""


class Guard:
    """ASGI middleware. `token` None: everybody may ask. `open_paths`: those that need none.
    `works`: paths that ask for pictures; `words`: those of them whose bodies hold words alone."""

    def __init__(
        self,
        app: App,
        served: Served,
        token: str | None,
        open_paths: frozenset[str],
        works: frozenset[str],
        words: frozenset[str],
    ) -> None:
        self._app, self._served = app, served
        self._open_paths, self._works, self._words = open_paths, works, words
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        most = MAX_JOB_BYTES if scope["path"] in self._words else MAX_BYTES
        if not self._allowed(scope["path"], headers):
            await refuse(send, 401, "UnauthorizedError", "This server wants a token.",
                         {"www-authenticate": "Bearer"})  # fmt: skip
        elif _length(headers) > most:
            await refuse(send, 413, "TooLargeError", f"At most {most} bytes are read.")
        elif scope["method"] == "POST" and scope["path"] in self._works and self._full():
            await self._turn_away(send)
        else:
            await self._pass_on(scope, receive, send, most)

    def _allowed(self, path: str, headers: dict[bytes, bytes]) -> bool:
        if self._token is None or path in self._open_paths:
            return True
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        return kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)

    def _full(self) -> bool:
        return self._served.draining or self._served.admission.full

    async def _turn_away(self, send: Send) -> None:
        if self._served.draining:
            await refuse(send, 503, "OverloadedError", "The server is stopping.",
                         {"retry-after": str(RETRY_AFTER_S)})  # fmt: skip
        else:
            await refuse(send, 429, "OverloadedError", "As much is on its way as may be.",
                         {"retry-after": str(self._served.retry_after_s())})  # fmt: skip

    async def _pass_on(self, scope: Message, receive: Receive, send: Send, most: int) -> None:
        body = _Body(receive, self._served.holding, most, _length(dict(scope["headers"])))

        async def unless_refused(message: Message) -> None:
            if body.refused is None:  # else the framework's answer to an error it does not know
                await send(message)

        try:
            body.reserve()
            await self._app(scope, body.counted, unless_refused)
        except RefusedError:
            pass
        finally:
            body.release()
        if body.refused == 413:
            await refuse(send, 413, "TooLargeError", f"At most {most} bytes are read.")
        elif body.refused is not None:
            await refuse(send, 429, "OverloadedError", "As many pictures lie here as may.",
                         {"retry-after": str(self._served.retry_after_s())})  # fmt: skip


class _Body:
    """One request's, as long as it is answered. What its length says is taken before the first
    byte is read, so that of many large ones some are read whole instead of all in part."""

    def __init__(self, receive: Receive, holding: Holding, most: int, declared: int) -> None:
        self.refused: int | None = None  # the status to refuse it with
        self._receive, self._holding, self._most = receive, holding, most
        self._declared, self._taken, self._seen = declared, 0, 0

    def reserve(self) -> None:
        """Take what its length says. Raises RefusedError."""
        self._take(self._declared)

    async def counted(self) -> Message:
        """The next part of it. Raises RefusedError."""
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._most:
            self._refuse(413)
        self._take(self._seen - self._taken)
        return message

    def release(self) -> None:
        """It is answered."""
        self._holding.give(self._taken)

    def _take(self, count: int) -> None:
        if count <= 0:
            return
        try:
            self._holding.take(count)
        except OverloadedError:
            self._refuse(429)
        self._taken += count

    def _refuse(self, status: int) -> NoReturn:
        self.refused = status
        raise RefusedError


async def refuse(
    send: Send, status: int, kind: str, what: str, headers: dict[str, str] | None = None
) -> None:
    """Answer with an error."""
    body = json.dumps(error_body(status, kind, what)).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body))}
    fields |= headers or {}
    pairs = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _length(headers: dict[bytes, bytes]) -> int:
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        return 0  # the HTTP server has refused it
