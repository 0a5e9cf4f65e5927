"""The engine's wheel: what it says of itself, whether its parts agree, and its content unpacked."""

import base64
import csv
import hashlib
import io
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from functools import cached_property
from pathlib import Path

from .errors import UserError
from .files import open_zip
from .paths import DISTRIBUTION, PACKAGE

PATTERN = f"{PACKAGE}-*.whl"
LARGEST = 2**26  # bytes, unpacked
FILE_NAME = re.compile(rf"{PACKAGE}-(?P<version>[0-9][A-Za-z0-9.!+_]*)-py3-none-any\.whl")
UNPACKED = Path(".dvc/tmp/engines")  # by digest: what was unpacked is imported faster than a zip, and once compiled


@dataclass(frozen=True)
class Wheel:
    """A wheel's name, with the folder as people know it, and its bytes."""

    name: str
    content: bytes

    @classmethod
    def read(cls, path: Path) -> "Wheel":
        """Return the wheel in a file.

        Raises:
            UserError: there is no such file, or it is no whole wheel of the engine.
        """
        try:
            return cls.of(str(path), path.read_bytes())
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}): name a wheel of {DISTRIBUTION}.") from None

    @classmethod
    def of(cls, name: str, content: bytes) -> "Wheel":
        """Return the wheel that a file of this name and content is.

        Raises:
            UserError: it is no whole wheel of the engine.
        """
        wheel = cls(name, content)
        if not FILE_NAME.fullmatch(wheel.file):
            raise UserError(f"{name} is not called as a wheel of the engine is, {PACKAGE}-1.2.0-py3-none-any.whl.")
        try:
            _ = wheel.metadata, wheel.record
        except (zipfile.BadZipFile, ValueError, IndexError, NotImplementedError, EOFError, zlib.error):
            raise UserError(
                f"{name} is not a wheel, or not a whole one: `git restore {name}` brings it back."
            ) from None
        return wheel

    @property
    def file(self) -> str:
        """Return the name without its folder."""
        return self.name.rpartition("/")[2]

    @cached_property
    def version(self) -> str:
        """Return the version in the name."""
        match = FILE_NAME.fullmatch(self.file)
        return match["version"] if match else ""

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the file, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def metadata(self) -> Message:
        """Return what METADATA says: the version, what it requires, its extras."""
        return Parser().parsestr(self.text("METADATA"))

    @cached_property
    def record(self) -> dict[str, str]:
        """Return the digest of each file, `sha256=…`, as RECORD has it; its own is empty."""
        return read_record(self.text("RECORD"))

    def text(self, name: str) -> str:
        """Return a file of the folder with what the wheel says of itself, such as `entry_points.txt`."""
        (file,) = (file for file in self.files if re.fullmatch(rf"[^/]+\.dist-info/{re.escape(name)}", file))
        return self.files[file].decode()

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Return every file in it, by its path."""
        with open_zip(io.BytesIO(self.content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise ValueError("it is larger than any engine")
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(set(names)) < len(names):
                raise ValueError("a file is there twice")
            return {name: archive.read(name) for name in names}

    def disagreements(self) -> Iterator[str]:
        """Yield each way in which its parts do not agree with each other, as half a sentence."""
        for field, wanted in (("Name", DISTRIBUTION), ("Version", self.version)):
            if self.metadata[field] != wanted:
                yield f"its METADATA has the {field.lower()} {self.metadata[field]}, and its name {wanted}"
        if differing := differences(self.record, self.files):
            yield f"{_listed(differing)} in it {'is' if len(differing) == 1 else 'are'} not what its RECORD says"


def read_record(text: str) -> dict[str, str]:
    """Return the digest of each file in the text of a RECORD; its own is empty."""
    return {row[0]: row[1] for row in csv.reader(io.StringIO(text)) if row}


def differences(record: dict[str, str], files: dict[str, bytes]) -> list[str]:
    """Return the files that are not as a RECORD says, lack or are not in it, sorted."""
    here = {name: record_digest(content) for name, content in files.items()}
    listed = {name: digest for name, digest in record.items() if digest}
    return sorted(name for name in {*here, *listed} - ({*record} - {*listed}) if here.get(name) != listed.get(name))


def record_digest(content: bytes) -> str:
    """Return the digest of a file's content as a RECORD has it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode()
    return f"sha256={digest.rstrip('=')}"


def unpack(wheel: Wheel, root: Path = Path()) -> Path:
    """Return the folder with a wheel's content, unpacked below `root` once for each digest."""
    place = (root / UNPACKED / wheel.digest[:16]).resolve()
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
    try:
        with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
            archive.extractall(partial)
        partial.rename(place)
    except OSError:  # another process was faster
        if not place.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def _listed(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
