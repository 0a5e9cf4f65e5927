"""Whether the engine's wheel is the one that a release of the template builds, byte for byte."""

import json
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .engine import Source
from .environment import run_uv
from .errors import UserError
from .git import complaint, run_briefly, shown
from .owner import PYPROJECT
from .paths import PACKAGE
from .wheel import Wheel

CRUFT = ".cruft.json"
SECONDS = 120.0  # for the template to come
ABBREVIATIONS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/", "bb:": "https://bitbucket.org/"}
Comparison = Literal["same", "different", "unknown"]


@dataclass(frozen=True)
class Release:
    """What a build of the template's tag says of a wheel: `text` says it, or why nothing is known, in a sentence."""

    answer: Comparison
    text: str


def template_url(cruft: bytes | None) -> str:
    """Return the address of the template that a project's .cruft.json records.

    Raises:
        UserError: there is no such file, or it names none.
    """
    try:
        url = json.loads(cruft or b"{}").get("template")
    except (ValueError, AttributeError):
        url = None
    if not isinstance(url, str) or not url:
        raise UserError(f"{CRUFT} names no template to build the engine from: give it with `--template URL`.")
    return url


def verify(source: Source, url: str) -> Release:
    """Return whether a wheel is the one that the template's tag of its version builds.

    Args:
        source: where the project's engine comes from.
        url: the template's repository.
    """
    if source.kind == "folder" or source.sha256 is None:
        return Release("unknown", f"the engine is {source.place}, of which there is no wheel to compare.")
    tag, address = f"v{source.version}", _address(url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            wheel = _build(address, tag, Path(folder))
    except UserError as error:
        return Release("unknown", f"{source.place} could not be compared with {shown(address)}: {error}")
    if wheel.digest == source.sha256:
        text = f"{source.place} is, byte for byte, what {shown(address)} builds at {tag} (SHA-256 {wheel.digest})."
        return Release("same", text)
    text = f"{source.place} has the SHA-256 {source.sha256}, and {shown(address)} builds {wheel.digest} at {tag}"
    return Release("different", f"{text}: `mlops engine use` takes a wheel that you trust.")


def _build(address: str, tag: str, folder: Path) -> Wheel:
    template, built = folder / "template", folder / "built"
    options = ("--quiet", "--depth=1", f"--branch={tag}", "-c", "advice.detachedHead=false")
    done = run_briefly("clone", *options, "--", address, template, seconds=SECONDS)
    if done.returncode:
        raise UserError(f"{complaint(done.stderr)}.")
    version = _version(template / "engine" / PYPROJECT)
    if f"v{version}" != tag:
        raise UserError(f"its tag {tag} has version {version} of the engine.")
    run_uv("build", "--quiet", "--wheel", "--out-dir", built, template / "engine", cwd=template)
    return Wheel.read(next(iter(built.glob(f"{PACKAGE}-*.whl")), built))


def _version(pyproject: Path) -> str | None:
    try:
        version = tomllib.loads(pyproject.read_text("utf-8")).get("project", {}).get("version")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    return str(version)


def _address(url: str) -> str:
    start = next((short for short in ABBREVIATIONS if url.startswith(short)), "")
    return ABBREVIATIONS.get(start, "") + url.removeprefix(start)
