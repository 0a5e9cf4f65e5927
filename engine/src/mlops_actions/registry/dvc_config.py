"""What DVC's configuration says, read as DVC reads it, and without DVC: the user's, the project's, the clone's."""

import configparser
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ..core.errors import UserError

_VALUE = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^#]*?))\s*(?:\#.*)?""", re.DOTALL)
_State = tuple[tuple[str, int, int], ...]


def default_remote(root: Path = Path()) -> str:
    """Return the URL or path of DVC's default remote as it is written, or ""."""
    config, _ = _configuration(root)
    name = config.get(("core", "remote"), "")
    return config.get((f"'remote \"{name}\"'", "url"), "")


def moved_cache(root: Path = Path()) -> Path | None:
    """Return DVC's cache where `cache.dir` has it elsewhere than in `.dvc`, such as on a disk that people share."""
    config, homes = _configuration(root)
    key = ("cache", "dir")
    return Path(homes[key], os.path.expanduser(config[key])) if config.get(key) else None


def _configuration(root: Path) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    """Return the values by section and key, and the directory of the file that each is from."""
    state = []
    for file in _files(root):
        if os.path.isfile(file):
            about = os.stat(file)
            state.append((os.path.abspath(file), about.st_mtime_ns, about.st_size))
    return _read(tuple(state))


def _files(root: Path) -> Iterator[Path]:
    """Yield where DVC looks, each before those that win over it; where it is not installed, nobody configured it."""
    with suppress(ModuleNotFoundError):
        from dvc.dirs import global_config_dir, system_config_dir

        yield from (Path(home, "config") for home in (system_config_dir(), global_config_dir()))
    yield from (root / ".dvc/config", root / ".dvc/config.local")


@lru_cache(maxsize=4)
def _read(state: _State) -> tuple[dict[tuple[str, str], str], dict[tuple[str, str], str]]:
    values, homes = {}, {}
    for file, *_ in state:
        config = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            config.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            name = os.path.relpath(file)
            cure = (
                f"restore it with `git checkout {name}`" if not name.startswith(os.pardir) else "correct or delete it"
            )
            raise UserError(f"{name} is not a DVC configuration: {cure}.") from error
        for section in config.sections():
            for key, text in config.items(section):
                found = _VALUE.fullmatch(text)
                values[section, key] = next(filter(None, found.groups()), "") if found else text
                homes[section, key] = os.path.dirname(file)
    return values, homes
