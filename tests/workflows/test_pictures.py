"""The job that may write to the repository stores pictures, and nothing that only looks like one."""

import io
import json
import random
import ssl
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from baked import Bake
from desk import find_run
from local_github import LocalGitHub, PullRequest, Repository, Run, Token, read_workflows
from local_github.events import pull_request_event, workflow_run_event
from local_github.permissions import BOT
from mlops_actions.review import pictures
from mlops_actions.review.report import FORMAT, Curve, MetricChange, Plot, Report, Ruling

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB, PALETTE, RGBA = 2, 3, 6
Store = Callable[..., str | None]


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


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


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


@pytest.fixture(scope="module")
def private(hub: LocalGitHub) -> Repository:
    """A private repository with one commit."""
    repository = hub.create_repository("acme/secret-churn", private=True)
    tree = repository.bare.write("mktree")
    repository.bare.git("update-ref", "refs/heads/main", repository.bare.write("commit-tree", tree, "-m", "Begin"))
    return repository


@pytest.fixture
def store(hub: LocalGitHub, private: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """`store(pictures, 7, contents="write")`: what a job with this permission stores in the private repository."""

    def store_as(found: dict[str, bytes], number: int, contents: str = "write") -> str | None:
        token = hub.issue_token(Token("", BOT, private.name, lambda: {"contents": contents}))
        variables = {"GITHUB_TOKEN": token.value, "GITHUB_SERVER_URL": hub.url, "GITHUB_REPOSITORY": private.name}
        for name, value in (hub.machine(tmp_path) | variables).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PATH", f"{hub.tools}:{hub.system_path}")
        commit: str | None = pictures.store(found, number)
        return commit

    return store_as


def fetch(hub: LocalGitHub, address: str, user: str | None) -> tuple[int, str, bytes]:
    """The status, type and bytes of an address that somebody opens, or that nobody does who is signed in."""
    context = ssl.create_default_context(cafile=hub.trust["SSL_CERT_FILE"])
    headers = {"Authorization": f"token {hub.people[user].value}"} if user else {}
    try:
        with urlopen(Request(address, headers=headers), context=context) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except HTTPError as error:
        return error.code, "", b""


def test_pictures_are_stored_outside_every_branch_and_only_members_see_them(
    hub: LocalGitHub, private: Repository, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"roc-light": GOOD["RGB"], "roc-dark": GOOD["palette"]}
    before = private.bare.refs("refs/heads/") | private.bare.refs("refs/tags/")
    commit = store(found, 3)
    assert commit and private.bare.refs("refs/reports/") == {"refs/reports/pull/3": (commit, "commit")}
    assert private.bare.refs("refs/heads/") | private.bare.refs("refs/tags/") == before
    assert private.bare.files(commit, ".") == ["roc-dark.png", "roc-light.png"]
    assert not private.bare.git("show", "-s", "--format=%P", commit), "it has no history to fetch"

    monkeypatch.setenv("PICTURES_COMMIT", commit)
    packed = pack({f"pictures/{name}.png": picture for name, picture in found.items()})
    links = pictures.addresses(packed)
    assert links == {name: f"{hub.url}/{private.name}/raw/{commit}/{name}.png" for name in found}
    for name, address in links.items():
        assert fetch(hub, address, "acme") == (200, "image/png", found[name])
        assert fetch(hub, address, "mallory")[0] == fetch(hub, address, None)[0] == 404


def test_the_same_pictures_again_change_nothing_and_others_take_their_place(private: Repository, store: Store) -> None:
    first = store({"roc-light": GOOD["RGB"]}, 70)
    assert store({"roc-light": GOOD["RGB"]}, 70) == first
    assert store({"roc-light": GOOD["RGB"]}, 7) is not None, "its number begins as the other's"
    second = store({"roc-light": GOOD["RGBA"]}, 70)
    refs = private.bare.refs("refs/reports/pull/70")
    assert second != first and refs == {"refs/reports/pull/70": (second, "commit")}


def test_a_token_that_may_not_write_stores_nothing_and_says_so(
    private: Repository, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    for contents in ("read", "none"):
        assert store({"roc-light": GOOD["RGB"]}, 5, contents) is None
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("The pictures are not stored, so the comment has tables instead:") and "HTTP 403" in line
    assert not private.bare.refs("refs/reports/pull/5")


def test_a_github_that_cannot_be_reached_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store({"roc-light": GOOD["RGB"]}, 6)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://127.0.0.1:9")
    with pytest.raises(pictures.UserError, match="gh api"):
        pictures.store({"roc-light": GOOD["RGB"]}, 6)


@pytest.mark.parametrize("commit", ["", "main", "0" * 39, "0" * 41, "../" * 10, "A" * 40, "0" * 40 + "\n"])
def test_only_a_commit_that_was_stored_is_linked(monkeypatch: pytest.MonkeyPatch, commit: str) -> None:
    monkeypatch.setenv("PICTURES_COMMIT", commit)
    assert pictures.addresses(pack({"pictures/roc-light.png": png()})) is None


def call(hub: LocalGitHub, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The status and JSON that the API of the local GitHub answers its owner."""
    context = ssl.create_default_context(cafile=hub.trust["SSL_CERT_FILE"])
    headers = {"Authorization": f"token {hub.people['acme'].value}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"{hub.url}/api/v3{path}", data, headers, method=method), context=context) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_the_local_github_refuses_what_github_refuses_of_refs_and_objects(
    hub: LocalGitHub, private: Repository
) -> None:
    git = f"/repos/{private.name}/git"
    main = private.bare.resolve("main")
    assert call(hub, "POST", f"{git}/refs", {"ref": "reports", "sha": main})[0] == 422
    assert call(hub, "POST", f"{git}/refs", {"ref": "refs/reports/x", "sha": "0" * 40})[0] == 422
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": main})[0] == 422, "there is none"
    assert call(hub, "POST", f"{git}/refs", {"ref": "refs/reports/x", "sha": main})[0] == 201
    entry = {"path": "a", "mode": "100644", "type": "blob", "sha": "0" * 40}
    assert call(hub, "POST", f"{git}/trees", {"tree": [entry]})[0] == 422
    blob = call(hub, "POST", f"{git}/blobs", {"content": "a", "encoding": "utf-8"})[1]["sha"]
    tree = call(hub, "POST", f"{git}/trees", {"tree": [entry | {"sha": blob}]})[1]["sha"]
    status, commit = call(hub, "POST", f"{git}/commits", {"message": "One", "tree": tree})
    assert status == 201 and commit["tree"]["sha"] == tree and commit["parents"] == []
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": commit["sha"]})[1]["message"].endswith("fast forward")
    assert call(hub, "PATCH", f"{git}/refs/reports/x", {"sha": commit["sha"], "force": True})[0] == 200


@pytest.fixture(scope="module")
def proposed(hub: LocalGitHub, bake: Bake) -> PullRequest:
    """A pull request to a private repository in which nothing was trained; each test says what its retrain left."""
    project = bake(github_owner="acme")
    repository = hub.create_repository("acme/private-churn", private=True)
    repository.disabled = {"checks", "keep", "retrain", "publish"}
    repository.connect(project.path)
    project.commit("Begin")
    repository.push(project.path)
    project.run("git", "switch", "--quiet", "--create", "tuned")
    project.write("NOTES.md", "Tuned.\n")
    project.commit("Tune")
    repository.push(project.path, "tuned")
    return repository.open_pull_request("tuned", "Tune")


def report_on(proposed: PullRequest, files: dict[str, bytes]) -> Run:
    """The report run after a retrain of the pull request that left these files."""
    hub = proposed.base.hub
    event = pull_request_event(proposed, "opened")
    workflow = next(one for one in read_workflows(proposed.base.bare, event.sha) if one.name == "retrain")
    retrain = hub.begin_run(proposed.base, workflow, event)
    retrain.conclusion = "success"
    hub.keep_artifact(retrain.id, "report", pack(files))
    return find_run(proposed.base.deliver(workflow_run_event(retrain)), "report")


def write_report(pull_request: int) -> bytes:
    """The report.json of an honest run."""
    report = Report(
        format=FORMAT,
        passed=True,
        unchanged=False,
        same_recipe=False,
        baseline="champion",
        pull_request=pull_request,
        champion="v1.0.0",
        primary="roc_auc",
        margin=0.01,
        confidence=0.95,
        params=[],
        schema=[],
        data=[],
        stages=[],
        metrics=[MetricChange("roc_auc", True, 0.76, 0.77, -0.01, 0.03)],
        rulings=[Ruling("champion", "roc_auc", True, "not worse", 0.77, 0.76, 0.01)],
        plots=[Plot("roc", [Curve("candidate", "yes", [0.0, 0.5, 1.0], [0.0, 0.8, 1.0])])],
    )
    return report.to_json().encode()


def test_the_comment_on_a_private_repository_shows_pictures_to_its_members(
    hub: LocalGitHub, proposed: PullRequest
) -> None:
    drawn = {"pictures/roc-light.png": GOOD["palette"], "pictures/roc-dark.png": GOOD["RGB"]}
    hostile = {"pictures/calibration-light.png": BAD["HTML"][0], "pictures/../evil.png": png()}
    files = {"report.json": write_report(proposed.number), **drawn, **hostile}
    run = report_on(proposed, files).expect("success")
    assert run.jobs == {"pictures": "success", "report": "success", "pass": "success"}
    (commit, _), *others = proposed.base.bare.refs("refs/reports/").values()
    assert not others and proposed.base.bare.files(commit, ".") == ["roc-dark.png", "roc-light.png"]
    assert "pictures/calibration-light.png is left out: it is no PNG" in run.log
    body = proposed.comments()[-1]["body"]
    for name, picture in drawn.items():
        address = f"{hub.url}/{proposed.base.name}/raw/{commit}/{Path(name).name}"
        assert address in body and fetch(hub, address, "acme")[2] == picture
        assert fetch(hub, address, None)[0] == 404
    assert "calibration-" not in body and "evil" not in body

    again = report_on(proposed, files | {"report.json": write_report(proposed.number + 1)})
    assert again.expect("failure").jobs["pictures"] == "failure"
    assert "which the run does not belong to" in again.log
    assert proposed.base.bare.refs("refs/reports/") == {f"refs/reports/pull/{proposed.number}": (commit, "commit")}


def test_where_the_token_may_not_write_the_comment_comes_without_pictures(proposed: PullRequest, bake: Bake) -> None:
    main = proposed.base.clone(bake().path.parent / "clone")
    workflow = main / ".github/workflows/report.yml"
    text = workflow.read_text()
    workflow.write_text(text.replace("contents: write", "contents: read"))
    assert workflow.read_text() != text
    proposed.base.hub.on_laptop(["git", "commit", "--quiet", "--all", "--message", "Allow less"], main, "acme")
    proposed.base.push(main)
    refs = proposed.base.bare.refs("refs/reports/")
    files = {"report.json": write_report(proposed.number), "pictures/roc-light.png": GOOD["RGBA"]}
    run = report_on(proposed, files).expect("success")
    assert "The pictures are not stored, so the comment has tables instead" in run.log
    assert proposed.base.bare.refs("refs/reports/") == refs
    body = proposed.comments()[-1]["body"]
    assert "<picture>" not in body and "roc_auc" in body
