"""Only what is a picture and nothing else is taken from a report: each chunk of a PNG is looked at."""

import random
import zipfile
import zlib

import pytest
from mlops_actions.review import pictures
from pngs import GOOD, PALETTE, RGB, RGBA, SIGNATURE, chunk, header, pack, pixels, png

BAD = {
    "empty": (b"", "no PNG"),
    "HTML": (b"<script>alert(1)</script>", "no PNG"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(99), "no PNG"),
    "SVG": (b"<svg onload='alert(1)'/>", "no PNG"),
    "GIF and PNG": (b"GIF89a" + png(), "no PNG"),
    "signature alone": (SIGNATURE, "begin, go on and end"),
    "a zip file behind it": (png() + b"PK\x05\x06" + bytes(18), "goes on after its end"),
    "HTML behind it": (png() + b"<script>alert(1)</script>", "goes on after its end"),
    "a picture behind it": (png() + png(), "goes on after its end"),
    "a chunk behind its end": (png() + chunk(b"sRGB", b"\0"), "begin, go on and end"),
    "cut off": (png()[:-3], "cut off"),
    "cut in a chunk's head": (png()[:-10], "cut off"),
    "a length beyond its end": (SIGNATURE + b"\xff\xff\xff\xffIHDR" + bytes(99), "cut off"),
    "a wrong checksum": (png(chunk(b"sRGB", b"\0", checksum=7)), "damaged"),
    "text": (png(chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")), "do not need"),
    "packed text": (png(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6)))), "do not need"),
    "a colour profile": (png(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(10**6)))), "do not need"),
    "EXIF": (png(chunk(b"eXIf", b"MM\0*")), "do not need"),
    "an animation": (png(chunk(b"acTL", bytes(8))), "do not need"),
    "a private chunk": (png(chunk(b"prVt", b"\0")), "do not need"),
    "no header": (SIGNATURE + chunk(b"IDAT", pixels()) + chunk(b"IEND"), "begin, go on and end"),
    "a header that is not the first": (png(head=chunk(b"sRGB", b"\0") + header()), "begin, go on and end"),
    "two headers": (png(header()), "twice"),
    "two palettes": (png(chunk(b"PLTE", bytes(3)), chunk(b"PLTE", bytes(3))), "twice"),
    "a short header": (png(head=chunk(b"IHDR", bytes(12))), "header is too short"),
    "a long header": (png(head=chunk(b"IHDR", bytes(14))), "IHDR chunk is too long"),
    "words in the end": (png()[:-12] + chunk(b"IEND", b"hello"), "IEND chunk is too long"),
    "no pixels": (png(data=b""), "begin, go on and end"),
    "pixels apart": (
        png(data=chunk(b"IDAT", pixels()[:9]) + chunk(b"sRGB", b"\0") + chunk(b"IDAT", pixels()[9:])),
        "in one piece",
    ),
    "a chunk after the pixels": (png(data=chunk(b"IDAT", pixels()) + chunk(b"pHYs", bytes(9))), "in one piece"),
    "no width": (png(head=header(0, 3)), "no side"),
    "too wide": (png(head=header(2001, 1)), "more than 2000"),
    "huge": (png(head=header(2**31, 2**31)), "more than 2000"),
    "one bit": (png(head=header(4, 3, 1, 0)), "8 bits"),
    "sixteen bits": (png(head=header(4, 3, 16, RGB)), "8 bits"),
    "grey": (png(head=header(4, 3, 8, 0)), "in colour"),
    "interlaced": (png(head=header(4, 3, 8, RGB, 0, 0, 1)), "interlacing"),
    "another compression": (png(head=header(4, 3, 8, RGB, 1, 0, 0)), "8 bits"),
    "no palette": (png(head=header(4, 3, 8, PALETTE), data=chunk(b"IDAT", pixels(samples=1))), "palette"),
    "a palette that is not needed": (png(chunk(b"PLTE", bytes(6))), "palette"),
    "a broken palette": (png(chunk(b"PLTE", bytes(7)), head=header(4, 3, 8, PALETTE)), "palette"),
    "too long a palette": (png(chunk(b"PLTE", bytes(771)), head=header(4, 3, 8, PALETTE)), "too long"),
    "transparency of RGBA": (png(chunk(b"tRNS", bytes(6)), head=header(4, 3, 8, RGBA)), "transparency"),
    "pixels that do not unpack": (png(data=chunk(b"IDAT", b"hello")), "cannot be unpacked"),
    "pixels that end early": (png(data=chunk(b"IDAT", pixels()[:-5])), "more or fewer"),
    "a wrong sum of pixels": (png(data=chunk(b"IDAT", pixels()[:-4] + b"1234")), "cannot be unpacked"),
    "too few pixels": (png(data=chunk(b"IDAT", pixels(4, 2))), "more or fewer"),
    "too many pixels": (png(data=chunk(b"IDAT", pixels(4, 4))), "more or fewer"),
    "a bomb": (png(data=chunk(b"IDAT", zlib.compress(bytes(10**8), 9))), "more or fewer"),
    "words behind the pixels": (png(data=chunk(b"IDAT", pixels() + b"hello")), "more or fewer"),
    "an unknown filter": (png(data=chunk(b"IDAT", pixels(filtered=5))), "unknown filter"),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_picture_of_each_kind_that_browsers_draw_is_taken(kind: str) -> None:
    pictures.check_png(GOOD[kind])


@pytest.mark.parametrize("kind", BAD)
def test_what_is_more_or_less_than_a_picture_is_refused_in_a_sentence(kind: str) -> None:
    content, words = BAD[kind]
    with pytest.raises(pictures.UserError, match=words):
        pictures.check_png(content)


def test_no_damage_to_a_picture_raises_anything_but_a_refusal() -> None:
    dice = random.Random(0)
    refused = 0
    for _ in range(3_000):
        damaged = bytearray(dice.choice(list(GOOD.values())[:5]))
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        damaged = damaged[: dice.choice([len(damaged), dice.randrange(len(damaged))])]
        try:
            pictures.check_png(bytes(damaged))
        except pictures.UserError:
            refused += 1
    assert refused > 2_900


def test_only_pictures_of_fixed_names_are_read_whatever_else_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    others = {f"pictures/{number}.png": png() for number in range(10_000)}
    elsewhere = ["../roc-light.png", "/pictures/roc-light.png", "pictures/../roc-light.png", "pictures\\roc-light.png"]
    found = pictures.read_pictures(
        pack(
            others
            | dict.fromkeys([*elsewhere, "roc-light.png", "pictures/ROC-light.png", "pictures/roc-light.svg"], png())
            | {"pictures/roc-dark.png": png(), "pictures/roc-blue.png": png(), "pictures/interval-light.png": b"<svg/>"}
        )
    )
    assert found == {"roc-dark": png()}
    assert capsys.readouterr().out == "pictures/interval-light.png is left out: it is no PNG\n"


def test_a_picture_that_is_too_large_or_packed_without_a_bound_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    large = png(data=chunk(b"IDAT", bytes(200 * 2**10)))
    assert pictures.read_pictures(pack({"pictures/roc-light.png": large})) == {}
    bomb = pack({"pictures/roc-light.png": bytes(10**8)})
    assert len(bomb) < 10**6 and pictures.read_pictures(bomb) == {}
    assert capsys.readouterr().out.count("larger than 204,800 bytes") == 2
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        assert pictures.read_pictures(pack({"pictures/roc-light.png": png()}, method)) == {}
    assert capsys.readouterr().out.count("has no readable pictures/roc-light.png") == 2


def test_every_name_that_a_report_may_draw_has_its_place() -> None:
    every = {f"pictures/{name}.png": png() for name in pictures.NAMES}
    assert len(every) == 14 and pictures.read_pictures(pack(every)).keys() == set(pictures.NAMES)
