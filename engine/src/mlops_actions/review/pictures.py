"""The pictures of a retrain: checked to be pictures and nothing else, and stored where the comment can show them.

They are kept in this repository outside every branch and tag, one commit a pull request under `refs/reports/pull/`, so
no clone downloads them, nobody but who may read the repository sees them, and no third party hosts them. The job that
stores them may write to the repository: it runs nothing but this module, which imports the standard library only.
"""

import base64
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..core import github
from ..core.errors import UserError
from .artifact import find_retrain, open_archive, read_member
from .report import PLOTS

NAMES = [f"{name}-{theme}" for name in ("interval", *PLOTS, "confusion") for theme in ("light", "dark")]
MAX_PICTURE = 200 * 2**10  # bytes
MAX_SIDE = 2000  # pixels
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {2: 3, 3: 1, 6: 4}  # a pixel, by colour type: RGB, palette, RGBA
ONCE = {b"IHDR": 13, b"PLTE": 768, b"tRNS": 256, b"pHYs": 9, b"sRGB": 1, b"gAMA": 4, b"IEND": 0}  # bytes at most


def pictures() -> None:
    """Store the pictures of the retrain that has just ended, and tell the next job their commit.

    Raises:
        UserError: the artifact is not what a retrain writes, or GitHub fails.
    """
    retrain = find_retrain()
    report = retrain and retrain.report
    if not retrain or not report or not report.pull_request or not retrain.artifact:
        return
    drawn = read_pictures(retrain.artifact)
    commit = store(drawn, report.pull_request) if drawn else None
    if commit is None:
        return
    print(f"Stored {len(drawn)} pictures of pull request {report.pull_request} in {commit[:10]}.")
    github.set_output("commit", commit)


def addresses(packed: bytes) -> dict[str, str] | None:
    """Return the address of each picture in the artifact, by its name such as roc-light; None where none is stored.

    The commit is what `pictures` told, in the variable PICTURES_COMMIT.
    """
    commit = os.environ.get("PICTURES_COMMIT", "")
    if not re.fullmatch("[0-9a-f]{40}", commit):
        return None
    raw = f"{github.server_url()}/{github.repository()}/raw/{commit}"
    return {name: f"{raw}/{name}.png" for name in read_pictures(packed)} or None


def read_pictures(packed: bytes) -> dict[str, bytes]:
    """Return the pictures in a retrain's artifact by name; one that is no picture is left out, and the log says why."""
    archive = open_archive(packed)
    members = set(archive.namelist())
    pictures = {}
    for name in NAMES:
        file = f"pictures/{name}.png"
        if file not in members:
            continue
        try:
            picture = read_member(archive, file, MAX_PICTURE)
            check_png(picture)
        except UserError as error:
            print(f"{file} is left out: {error}")
        else:
            pictures[name] = picture
    return pictures


def check_png(picture: bytes) -> None:
    """Return where the bytes are one still picture that a browser draws, with nothing in it or after it but pixels.

    Raises:
        UserError: they are not; the text says why.
    """
    chunks = list(_chunks(picture))
    kinds = [kind for kind, _ in chunks]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or b"IDAT" not in kinds:
        raise UserError("it does not begin, go on and end as a PNG does")
    first = kinds.index(b"IDAT")
    data = [content for kind, content in chunks if kind == b"IDAT"]
    if kinds[first : first + len(data)] != [b"IDAT"] * len(data) or kinds[first + len(data) :] != [b"IEND"]:
        raise UserError("its pixels are not in one piece before its end")
    others = {kind: content for kind, content in chunks if kind != b"IDAT"}
    if len(others) + len(data) != len(chunks):
        raise UserError("it has a chunk twice")
    for kind, content in others.items():
        if len(content) > ONCE[kind]:
            raise UserError(f"its {kind.decode()} chunk is too long")
    rows, size = _layout(others)
    inflated = _inflate(b"".join(data), size)
    if any(inflated[place] > 4 for place in range(0, size, size // rows)):
        raise UserError("a row of its pixels has an unknown filter")


def _chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the kind and content of each chunk, in order, up to the last byte."""
    if not picture.startswith(SIGNATURE):
        raise UserError("it is no PNG")
    place = len(SIGNATURE)
    while place < len(picture):
        head = picture[place : place + 8]
        size, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
        content = picture[place + 8 : place + 8 + size]
        checksum = picture[place + 8 + size : place + 12 + size]
        if len(content) != size or checksum != struct.pack(">I", zlib.crc32(kind + content)):
            raise UserError("it is cut off, damaged, or goes on after its end")
        if kind != b"IDAT" and kind not in ONCE:
            raise UserError("it has a chunk that pixels do not need")
        yield kind, content
        place += size + 12


def _layout(chunks: Mapping[bytes, bytes]) -> tuple[int, int]:
    """Return the rows of a picture, and the bytes of all of them with their filters."""
    if len(chunks[b"IHDR"]) != 13:
        raise UserError("its header is too short")
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise UserError(f"it has no side, or one of more than {MAX_SIDE} pixels")
    if depth != 8 or colour not in SAMPLES or any(rest):
        raise UserError("it is not of 8 bits, in colour, and without interlacing")
    palette = chunks.get(b"PLTE", b"")
    if len(palette) % 3 or (colour == 3) != bool(palette):
        raise UserError("its palette does not fit its colours")
    transparent = len(chunks.get(b"tRNS", b""))
    if transparent > {2: 6, 3: len(palette) // 3, 6: 0}[colour]:
        raise UserError("its transparency does not fit its colours")
    return height, height * (1 + width * SAMPLES[colour])


def _inflate(data: bytes, size: int) -> bytes:
    """Return exactly `size` bytes, never holding more."""
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, size)
        done = stream.eof or (not stream.decompress(stream.unconsumed_tail, 1) and stream.eof)
    except zlib.error as error:
        raise UserError("its pixels cannot be unpacked") from error
    if len(inflated) != size or not done or stream.unused_data:
        raise UserError("its pixels are more or fewer than its header says")
    return inflated


def store(pictures: Mapping[str, bytes], pull_request: int) -> str | None:
    """Return the commit that holds the pictures and that the pull request's ref points at; None if that is forbidden.

    The same pictures again leave the ref as it is.

    Raises:
        UserError: GitHub fails.
    """
    ref = f"reports/pull/{pull_request}"
    try:
        entries = [_entry(name, picture) for name, picture in sorted(pictures.items())]
        tree = github.send("POST", "git/trees", tree=entries)["sha"]
        refs = github.api(f"git/matching-refs/{ref}")  # and those of pull requests that begin with its digits
        before = next((known["object"]["sha"] for known in refs if known["ref"] == f"refs/{ref}"), None)
        if before and github.api(f"git/commits/{before}")["tree"]["sha"] == tree:
            return before
        message = f"Pictures of the report on pull request {pull_request}"
        author = dict(zip(("name", "email"), github.BOT, strict=True))
        commit = github.send("POST", "git/commits", message=message, tree=tree, parents=[], author=author)["sha"]
        if before:
            github.send("PATCH", f"git/refs/{ref}", sha=commit, force=True)
        else:
            github.send("POST", "git/refs", ref=f"refs/{ref}", sha=commit)
    except UserError as error:
        if not re.search(r"\(HTTP (403|404|422)\)", str(error)):
            raise
        print(f"The pictures are not stored, so the comment has tables instead: this token may not write ({error}).")
        return None
    return commit


def _entry(name: str, picture: bytes) -> dict[str, Any]:
    content = base64.b64encode(picture).decode()
    blob = github.send("POST", "git/blobs", content=content, encoding="base64")
    return {"path": f"{name}.png", "mode": "100644", "type": "blob", "sha": blob["sha"]}
