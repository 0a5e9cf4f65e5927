"""Requests and answers as HTTP: bodies of bounded size, time and content, JSON, errors in one form."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec
import numpy as np

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = (b"content-type", b"application/json")
decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

TOGETHER = 8  # of the largest bodies: so much of what is not complete is held
SMALL = 2**16  # bytes: a smaller body cannot hold more than takes a moment
DIGITS = 400  # in a row: more than a float can have, and reading a number takes time by their square
EXACT = 20  # digits in a row from which on a number may be read by arithmetic of any precision, a thousand times slower
MANY = 10_000  # such numbers
LONGEST_KEY = 256  # characters
WHY = (
    "the body holds more than {most:,} values, "
    f"a number of more than {DIGITS} digits, or more than {MANY:,} numbers of {EXACT} digits or more"
)
MARKS = b"[{,"  # one of them stands before every key, and before every value that has none, but the first


class Refused(Exception):
    """A request that gets an error: its status, the reason, and the headers that belong to it."""

    def __init__(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(reason)
        self.status, self.body, self.headers = status, {"error": reason}, headers


class Gone(Exception):
    """The client left."""


class Bodies:
    """The bodies that a worker takes in, of which those that are not complete hold no more than so much together.

    What is over it is refused where it is large, so that a small one always gets in, whoever holds the rest.
    """

    def __init__(self, largest: float) -> None:
        """Refuse a body of more than `largest` bytes."""
        self._largest, self._held = largest, 0

    async def read(self, receive: Receive) -> bytes:
        """Return the body of a request.

        Raises:
            Refused: there is no room for it; what is left of it was read and dropped, for the client to listen.
            Gone: the client left before it was complete.
        """
        chunks, size, refused = list[bytes](), 0, None
        more = True
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                more = message.get("more_body", False)
                if not refused:
                    chunks.append(message.get("body", b""))
                    size += len(chunks[-1])
                    self._held += len(chunks[-1])
                    refused = self._refuse(size)
                if refused:
                    chunks.clear()
                    self._held -= size
                    size = 0
        finally:
            self._held -= size
        if refused:
            raise refused
        return b"".join(chunks)

    def _refuse(self, size: int) -> Refused | None:
        if size > self._largest:
            return too_large(self._largest)
        if size > SMALL and self._held > TOGETHER * self._largest:
            reason = f"bodies of {self._held / 1e6:.0f} MB are on their way already; send it again, or fewer rows"
            return Refused(503, reason, (b"retry-after", b"1"))
        return None


def too_large(largest: float) -> Refused:
    """Return the refusal of a body."""
    return Refused(413, f"the body is larger than {largest / 1e6:g} MB; send fewer rows at once")


def read_json(body: bytes, most: int) -> Any:
    """Return the JSON of a body.

    Raises:
        Refused: it is none, or holds more than `most` values; that is told before any of them is made.
    """
    if len(body) > SMALL:
        text = np.frombuffer(body, np.uint8)
        # What stands in texts is left out only where it matters.
        if _is_heavy(text, most) and _is_heavy(_without_texts(body), most):
            raise Refused(422, WHY.format(most=most))
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None


def _is_heavy(text: np.ndarray, most: int) -> bool:
    if sum(np.count_nonzero(text == mark) for mark in MARKS) > most:
        return True
    exact = _in_a_row(text - ord("0") < 10, EXACT)  # what is below wraps around
    numbers = np.count_nonzero(exact[1:] & ~exact[:-1]) + np.count_nonzero(exact[:1])
    return bool(numbers > MANY) or (bool(numbers) and bool(_in_a_row(exact, DIGITS - EXACT + 2).any()))


def _in_a_row(marked: np.ndarray, count: int) -> np.ndarray:
    """Return at which places so many that are marked begin."""
    length = 1
    while length < count:
        step = min(length, count - length)
        marked = marked[step:] & marked[:-step]
        length += step
    return marked


def _without_texts(body: bytes) -> np.ndarray:
    """Return what of JSON stands outside its texts."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = np.frombuffer(body, np.uint8)
    if b'"' not in body:
        return text
    inside = np.cumsum(text == ord('"'), dtype=np.uint8) & 1
    return text[inside == 0]


def header(scope: Scope, name: bytes) -> str | None:
    """Return the value of a header, whose name is given in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return value.decode("latin-1")
    return None


def request_key(scope: Scope) -> str | None:
    """Return whose request it is, where the client says so.

    Raises:
        Refused: it says more than a name: the key stands in the log beside each row.
    """
    key = header(scope, b"x-request-key")
    if key is not None and len(key) > LONGEST_KEY:
        raise Refused(400, f"X-Request-Key has {len(key):,} characters, and may have {LONGEST_KEY}")
    return key


async def send_bytes(send: Send, content: bytes, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Answer with bytes."""
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})
