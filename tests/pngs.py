"""PNG files, byte by byte."""

import io
import struct
import zipfile
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, PALETTE, RGBA = 2, 3, 6


def chunk(kind: bytes, content: bytes = b"", checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def header(width: int = 4, height: int = 3, *others: int) -> bytes:
    depth, colour, *rest = others or (8, RGB)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *(rest or (0, 0, 0))))


def pixels(width: int = 4, height: int = 3, samples: int = 3, filtered: int = 0) -> bytes:
    return zlib.compress((bytes([filtered]) + b"\x80" * width * samples) * height)


def png(*chunks: bytes, head: bytes | None = None, data: bytes | None = None) -> bytes:
    """A picture of 4 × 3 pixels with further chunks before its pixels."""
    body = chunk(b"IDAT", pixels()) if data is None else data
    return SIGNATURE + (head or header()) + b"".join(chunks) + body + chunk(b"IEND")


GOOD = {
    "RGB": png(),
    "RGBA": png(head=header(4, 3, 8, RGBA), data=chunk(b"IDAT", pixels(samples=4))),
    "palette": png(
        chunk(b"PLTE", bytes(6)),
        chunk(b"tRNS", b"\0\1"),
        head=header(4, 3, 8, PALETTE),
        data=chunk(b"IDAT", pixels(samples=1)),
    ),
    "as vl-convert writes it": png(chunk(b"pHYs", bytes(9)), chunk(b"gAMA", bytes(4)), chunk(b"sRGB", b"\0")),
    "pixels in pieces": png(data=chunk(b"IDAT", pixels()[:9]) + chunk(b"IDAT", pixels()[9:])),
    "the largest": png(head=header(2000, 2000), data=chunk(b"IDAT", pixels(2000, 2000))),
}


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()
