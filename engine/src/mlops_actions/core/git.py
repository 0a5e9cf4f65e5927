"""The one place that runs git, so that its environment, credentials and errors are handled once."""

import base64
import io
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from .errors import UserError, disk_full

Config = Iterable[tuple[str, str]]

PATIENCE = 60  # seconds without a byte, after which a server is left

_ASKS_A_SERVER = ("clone", "fetch", "ls-remote", "push")
_FULL = rb".*(No space left on device|Disk quota exceeded|Out of diskspace)"
_FULL_HERE, _FULL_THERE = (re.compile(rb"^" + who + _FULL, re.MULTILINE) for who in (rb"(?!remote: )", rb"remote: "))
_LINK = "120000"  # the mode of a symbolic link in a tree
# What git sets for its hooks: a command started from a hook must find its repository by its directory.
_HOOK_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)


def git(
    *args: str | Path,
    cwd: Path | None = None,
    input: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    config: Config = (),
    check: bool = True,
) -> str:
    """Return what `git ARGS` prints, without its last newline; its failure is a UserError unless `check` is off."""
    done = run(*args, cwd=cwd, input=input, env=env, config=config)
    if check and done.returncode:
        raise UserError(f"`git {args[0]}` failed: {complaint(done.stderr)}.")
    return done.stdout.decode(errors="surrogateescape").rstrip("\n")


def run(
    *args: str | Path,
    cwd: Path | None = None,
    input: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    config: Config = (),
) -> subprocess.CompletedProcess[bytes]:
    """Return the finished process of `git ARGS`, whatever its exit code; a full disk is a UserError."""
    if isinstance(input, str):
        input = input.encode()
    # Without input stdin is closed: git must not eat what a hook or a pipe meant for somebody else.
    with start(*args, cwd=cwd, env=env, config=config, reads=input is not None) as process:
        output, errors = process.communicate(input)
    if process.returncode and _FULL_HERE.search(errors):
        raise disk_full((env or {}).get("GIT_DIR") or cwd or Path.cwd())
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def run_briefly(*args: str | Path, seconds: float) -> subprocess.CompletedProcess[bytes]:
    """Return the finished process of `git ARGS`, which asks nobody for a password and ends after so many seconds."""
    # In a session of its own it has no terminal to ask at, and what it started ends with it.
    with start(*args, env={"GIT_TERMINAL_PROMPT": "0"}, reads=False, alone=True) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            output, errors = process.communicate()[0], f"no answer within {seconds:g} seconds".encode()
        except BaseException:  # Ctrl-C does not reach another session
            os.killpg(process.pid, signal.SIGTERM)
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def start(
    *args: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    config: Config = (),
    reads: bool = True,
    stderr: int = subprocess.PIPE,
    alone: bool = False,
) -> subprocess.Popen[bytes]:
    """Return the running `git ARGS`, with pipes to talk to it; `config` does not show on its command line.

    `alone` starts it in a session of its own.
    """
    stdin = subprocess.PIPE if reads else subprocess.DEVNULL
    config = [*config, *_token_config()]
    careful = _careful(cwd, env, config) if args[0] in _ASKS_A_SERVER else []
    variables = _environment(env or {}, [*careful, *config])
    command = ["git", *map(str, args)]
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=variables,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=alone,
        )
    except FileNotFoundError as error:
        raise UserError(
            f"The directory {cwd} does not exist."
            if str(error.filename) == str(cwd)
            else "git is not installed: install it from https://git-scm.com and try again."
        ) from error


def complaint(stderr: bytes) -> str:
    """Return the line of git's own words that tells why it failed, without the advice around it."""
    if slow := re.search(rb"Less than \d+ bytes/sec transferred the last \d+ seconds", stderr):
        return f"the server was left, as it stalls (http.lowSpeedTime): {slow[0].decode().lower()}"
    if _FULL_THERE.search(stderr):
        return "the server's disk is full"
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("!")]
    marked = marked or [line for line in lines if line.lower().startswith(("fatal: ", "error: "))]
    line = (marked or lines or ["it gave no reason"])[-1]
    if line in lines[1:] and line.endswith("Could not read from remote repository."):  # the line before says why
        line = lines[lines.index(line) - 1]
    for prefix in ("! ", "fatal: ", "error: ", "ERROR: "):
        line = line.removeprefix(prefix)
    led = " (it leads elsewhere: name that address by `git remote set-url`)" if re.search(r"error: 30\d$", line) else ""
    return shown(line.rstrip(".")) + led


def rev_parse(rev: str, cwd: Path | None = None) -> str | None:
    """Return the commit that `rev` names, or None."""
    done = run("rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}", cwd=cwd)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def show_file(rev: str, path: str | PurePath, cwd: Path | None = None) -> bytes | None:
    """Return the bytes of `path` (relative to `cwd`) at `rev`, or None where that commit has no such file."""
    commit = rev_parse(rev, cwd)
    if commit is None:
        raise UserError(f"There is no commit named {rev}: fetch it with `git fetch --tags origin`.")
    done = run("cat-file", "blob", f"{commit}:./{PurePath(path).as_posix()}", cwd=cwd)
    return done.stdout if done.returncode == 0 else None


def read_blobs(names: list[str], cwd: Path | None = None) -> list[bytes | None]:
    """Return the bytes of blobs, such as `COMMIT:./PATH`, in the order of `names`; None for what is not there."""
    if not names:
        return []
    done = run("cat-file", "--batch", cwd=cwd, input="".join(f"{name}\n" for name in names))
    if done.returncode:
        raise UserError(f"`git cat-file` failed: {complaint(done.stderr)}.")
    answers, blobs = io.BytesIO(done.stdout), list[bytes | None]()
    for _ in names:
        size = answers.readline().split()[-1]  # of `ID KIND SIZE`; else it is `NAME missing`
        blobs.append(answers.read(int(size) + 1)[:-1] if size.isdigit() else None)
    return blobs


def check_out(commit: str, directory: Path) -> None:
    """Write the files of a commit into `directory`, which knows nothing of the repository.

    They are what was committed, byte for byte: `git archive` would leave out or edit what the commit's own attributes
    (`export-ignore`, `export-subst`, `ident`) name.

    Raises:
        UserError: there is no such commit, or a link in it leads out of the project.
    """
    listed = (entry.split("\t", 1) for entry in git("ls-tree", "-r", "-z", commit).split("\0") if entry)
    files = [(name, *about.split()) for about, name in listed]
    blobs = [(name, mode, blob) for name, mode, kind, blob in files if kind == "blob"]
    home = directory.resolve()
    for (name, mode, _), content in zip(blobs, read_blobs([blob for _, _, blob in blobs]), strict=True):
        assert content is not None  # the tree of a commit that is here names it
        file = directory / name
        leads = file.parent / os.fsdecode(content) if mode == _LINK else file
        if not leads.resolve().is_relative_to(home):
            raise UserError(f"{name} in {commit} is a link that leads out of the project: commit a file in its place.")
        file.parent.mkdir(parents=True, exist_ok=True)
        if mode == _LINK:
            file.symlink_to(os.fsdecode(content))
        else:
            file.write_bytes(content)
            file.chmod(int(mode, 8) & 0o777)


def list_files(rev: str | None = None, cwd: Path | None = None) -> list[str]:
    """Return the files under `cwd` at `rev`; without `rev`, those of the working tree that git does not ignore."""
    if rev is None:
        listing = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", cwd=cwd)
    else:
        listing = git("ls-tree", "-r", "-z", "--name-only", rev, cwd=cwd)
    return [name for name in listing.split("\0") if name]


def shown(url: str) -> str:
    """Return a URL, or a text with URLs in it, without their logins, to be printed."""
    return re.sub(r"(?<=//)[^/\s'\"]*@", "", url)


def remote_url(name: str = "origin", cwd: Path | None = None, push: bool = False) -> str | None:
    """Return the URL that the remote `name` is read from, or pushed to; None where there is no such remote."""
    done = run("remote", "get-url", *(["--push"] if push else []), "--", name, cwd=cwd)
    return done.stdout.decode().strip() if done.returncode == 0 else None


def access_config(cwd: Path | None = None) -> list[tuple[str, str]]:
    """Return how this repository reaches its remotes, for a second repository that git would not apply it to.

    actions/checkout leaves its credentials behind an `includeIf` on the checkout's own directory. What is
    configured for the user or the machine applies everywhere already, and a header sent twice is refused.
    """
    wanted = r"^(http|credential)\.|^core\.(sshcommand|askpass)$"
    fields = git("config", "-z", "--show-scope", "--get-regexp", wanted, cwd=cwd, check=False).split("\0")
    pairs = []
    for scope, entry in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = entry.partition("\n")
        if scope in ("local", "worktree"):
            pairs.append((key, value))
    return pairs


def _careful(cwd: Path | None, env: Mapping[str, str] | None, config: Config) -> list[tuple[str, str]]:
    """Return the configuration by which git leaves a server that stalls, and takes no header to another server.

    What the user configured of the first stays. The second is git's own: it sends a header that is configured for one
    address wherever that redirects to.
    """
    ssh = f"ssh -o ConnectTimeout={PATIENCE} -o ServerAliveInterval={PATIENCE / 3:.0f} -o ServerAliveCountMax=3"
    defaults = {"http.lowspeedlimit": "1", "http.lowspeedtime": str(PATIENCE), "core.sshcommand": ssh}
    if "GIT_SSH" in os.environ:  # which core.sshCommand would replace
        del defaults["core.sshcommand"]
    pattern = rf"^({'|'.join(map(re.escape, defaults))}|http\.(.*\.)?extraheader)$"
    asked = run("config", "-z", "--name-only", "--get-regexp", pattern, cwd=cwd, env=env)
    configured = [*asked.stdout.decode(errors="surrogateescape").split("\0"), *(key for key, _ in config)]
    headers = {key for key in configured if key.lower().endswith(".extraheader")}
    kept = [(key, value) for key, value in defaults.items() if key not in configured]
    return kept + [(key[: -len("extraheader")] + "followRedirects", "false") for key in headers]


def _token_config() -> list[tuple[str, str]]:
    """Return the header that a workflow's token makes; git itself sends it to that server and to no other."""
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if not token:
        return []
    server = os.environ.get("GITHUB_SERVER_URL") or "https://github.com"
    key = f"http.{server.rstrip('/')}/.extraheader"
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    # The empty value drops a header that is configured already: GitHub refuses two.
    return [(key, ""), (key, f"AUTHORIZATION: basic {basic}")]


def _environment(extra: Mapping[str, str], config: Config) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    env |= {"LC_ALL": "C", **extra}
    if env.get("CI"):
        env.setdefault("GIT_TERMINAL_PROMPT", "0")
    first = int(env.get("GIT_CONFIG_COUNT") or 0)
    pairs = [*config]
    for number, (key, value) in enumerate(pairs, start=first):
        env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"] = key, value
    if pairs:
        env["GIT_CONFIG_COUNT"] = str(first + len(pairs))
    return env
