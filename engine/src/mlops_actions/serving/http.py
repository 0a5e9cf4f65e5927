"""Requests and answers as HTTP: bodies of bounded size and time, JSON, errors in one form."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """A request that gets an error: its status, the reason, and what else the body says."""

    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(reason)
        self.status, self.body = status, {"error": reason, **more}


class Gone(Exception):
    """The client left."""


async def read_body(receive: Receive, largest: float) -> bytes:
    """Return the body of a request.

    Raises:
        Refused: it is larger than `largest` bytes; what is left of it was read and dropped, for the client to listen.
        Gone: the client left before it was complete.
    """
    message = await receive()
    body = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Gone
    if not message.get("more_body"):
        if len(body) > largest:
            raise too_large(largest)
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        size += len(message.get("body", b""))
        if size <= largest:
            chunks.append(message.get("body", b""))
        else:
            chunks.clear()
    if size > largest:
        raise too_large(largest)
    return b"".join(chunks)


def too_large(largest: float) -> Refused:
    """Return the refusal of a body."""
    return Refused(413, f"the body is larger than {largest / 1e6:g} MB; send fewer rows at once")


def read_json(body: bytes) -> Any:
    """Return the JSON of a body.

    Raises:
        Refused: it is none.
    """
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None


def header(scope: Scope, name: bytes) -> str | None:
    """Return the value of a header, whose name is given in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


async def send_bytes(send: Send, content: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Answer with bytes."""
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})
