"""The local GitHub itself: start it, make repositories, and let things happen."""

import io
import itertools
import json
import os
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import api
from .api.actions import Artifact
from .bare import BareRepository
from .certificate import make_certificate
from .concurrency import Groups
from .emulate import Emulate
from .events import Event
from .front import Front, Request, Response
from .git_http import run_backend, wants_push
from .permissions import BOT, Token, allows
from .proxy import HOSTS, WEB, Proxy
from .repository import Repository, raise_for
from .run import Run
from .sigstore import Sigstore
from .tools import find_uv, make_shell_directory, make_tool_directory
from .web import answer_page
from .workflows import Workflow

PASSED = re.compile(
    r"(?i)(UV_(.*INDEX.*|FIND_LINKS|OFFLINE|LINK_MODE|PYTHON_INSTALL_DIR)|PIP_.*|(https?|no|all)_proxy"
    r"|OMP_NUM_THREADS|MYPY_CACHE_DIR)"
)


@contextmanager
def start_github(
    root: Path, users: tuple[str, ...] = ("acme", "contributor"), dot_com: bool = False, at_once: int = 1
) -> Iterator["LocalGitHub"]:
    """A local GitHub that is stopped, with all it started, at the end of the block.

    It has its addresses as a GitHub Enterprise Server has them, or as github.com where `dot_com` is true. Of the runs
    that one event starts, `at_once` go beside each other.
    """
    hub = LocalGitHub(root, users, dot_com, at_once)
    try:
        yield hub
    finally:
        hub.stop()


class LocalGitHub:
    """A GitHub on loopback: `url` is its address, `users` are the people who have an account."""

    def __init__(self, root: Path, users: tuple[str, ...], dot_com: bool, at_once: int) -> None:
        self.root = root
        self.at_once = at_once
        self.lock = threading.RLock()
        self.groups = Groups()
        self.tokens: dict[str, Token] = {}
        self.repositories: dict[str, Repository] = {}
        self.runs: dict[int, Run] = {}
        self.artifacts: dict[int, Artifact] = {}
        self.sigstores = {private: Sigstore(logs=not private) for private in (False, True)}
        self.last_step: str | None = None
        self.last_call: tuple[re.Pattern[str], bool, Iterator[int]] | None = None
        self.repositories_root = root / "repositories"
        for name in ("repositories", "runs", "artifacts", "assets", "laptops", "bytecode"):
            (root / name).mkdir(parents=True)
        self.tools = make_tool_directory(root / "tools")
        self.shell = make_shell_directory(root / "shell")
        self.bytecode = root / "bytecode"
        self.uv_directory = find_uv(root / "uv", self.bytecode)
        wanted = [shutil.which(name) for name in ("git", "bash", "jq")]
        folders = [str(Path(path).parent) for path in wanted if path]
        self.system_path = os.pathsep.join(dict.fromkeys([*folders, "/usr/bin", "/bin"]))
        self.uv_cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
        self.stored: dict[str, tuple[Path, str]] = {}
        self.opened: set[str] = set()
        context, self.trust = make_certificate(root, *(HOSTS if dot_com else ("127.0.0.1", "localhost")))
        self.front = Proxy(context) if dot_com else Front(context)
        self.host = self.front.host
        self.url = f"https://{self.host}"
        try:
            self.emulate = Emulate(root, self.url, [*users, BOT])
            self.users = {login: self._describe_user(login) for login in (*users, BOT)}
        except BaseException:
            self.stop()
            raise
        self.people = {login: self.issue_token(Token("", login)) for login in users}
        self.front.start(self)

    def _describe_user(self, login: str) -> dict[str, Any]:
        user = self.emulate.call("GET", f"/users/{login}", login)
        return {"login": login, "id": user["id"], "type": "Bot" if login == BOT else "User"}

    def stop(self) -> None:
        """End every process and thread that it started."""
        for run in self.runs.values():
            run.kill()
        self.front.stop()
        if hasattr(self, "emulate"):
            self.emulate.stop()

    def create_repository(self, name: str, private: bool = False) -> Repository:
        """A new, empty OWNER/NAME."""
        bare = BareRepository.create(self.repositories_root / f"{name}.git")
        self.repositories[name] = Repository(self, name, bare, private)
        return self.repositories[name]

    def issue_token(self, token: Token) -> Token:
        """The same token with a value that opens what it may open."""
        issued = replace(token, value=("ghs_" if token.repository else "ghp_") + secrets.token_hex(18))
        self.tokens[issued.value] = issued
        return issued

    def begin_run(self, repository: Repository, workflow: Workflow, event: Event) -> Run:
        """A run that has a number and a directory, and no process yet."""
        with self.lock:
            earlier = [run for run in self.runs.values() if (run.repository, run.path) == (repository, workflow.path)]
            return self._begin(repository, 9_000_001 + len(self.runs), len(earlier) + 1, workflow, event)

    def begin_attempt(self, run: Run, kept: dict[str, dict[str, str]]) -> Run:
        """A run's next attempt, which keeps what these jobs of the last one came to; its artifacts are the run's."""
        with self.lock:
            last = self.runs[run.id]
            again = self._begin(run.repository, run.id, run.number, run.workflow, run.event, last.attempt + 1)
            again.kept = kept
            return again

    def _begin(
        self, repository: Repository, identity: int, number: int, workflow: Workflow, event: Event, attempt: int = 1
    ) -> Run:
        directory = self.root / "runs" / f"{identity}.{attempt}"
        directory.mkdir()
        run = Run(repository, identity, number, workflow, event, directory, secrets.token_hex(18), attempt=attempt)
        self.runs[identity] = run
        return run

    def address(self, path: str) -> str:
        """The address of what a GitHub Enterprise Server has at a path."""
        return self.front.address(path)

    def trusted_roots(self) -> str:
        """What `gh attestation trusted-root` prints of this GitHub: a root a line."""
        return "".join(f"{json.dumps(one.trusted_root())}\n" for one in self.sigstores.values())

    def keep_artifact(self, run: int, name: str, content: bytes, attempt: int = 1) -> Artifact:
        """A run's artifact, whatever the zip file holds."""
        with self.lock:
            number = 7_000_001 + max((number - 7_000_000 for number in self.artifacts), default=0)
            file = self.root / "artifacts" / f"{number}.zip"
            file.write_bytes(content)
            self.artifacts[number] = Artifact(number, name, run, file, attempt)
            return self.artifacts[number]

    def keep_bytecode(self, environment: Path) -> None:
        """Spare the virtual environments to come what this one has compiled."""
        for file in environment.rglob("*.pyc"):
            kept = self.bytecode / file.relative_to(environment)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, kept)

    def asset(self, number: int) -> Path:
        """Where the bytes of a release's asset are."""
        return self.root / "assets" / str(number)

    def machine(self, home: Path) -> dict[str, str]:
        """The environment of a machine with a home of its own that trusts this GitHub."""
        passed = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
        return passed | {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "UV_CACHE_DIR": self.uv_cache,
            "CML_RELEASES": f"{self.url}/iterative/cml/releases/download",
            **self.trust,
            **self.front.environment,
        }

    def laptop(self, user: str) -> dict[str, str]:
        """The environment of a user's own machine, where git and gh know their token."""
        home = self.root / "laptops" / user
        token = self.people[user].value
        if not home.exists():
            home.mkdir()
            (home / ".gitconfig").write_text(
                f"[user]\n\tname = {user}\n\temail = {user}@example.com\n[init]\n\tdefaultBranch = main\n"
                f'[credential "{self.url}"]\n\thelper = "!printf \'username={user}\\\\npassword={token}\\\\n\' #"\n'
            )
        path = os.pathsep.join([str(self.tools), str(self.uv_directory), self.system_path])
        # gh's own names for them: it asks github.com unless it is told of another host.
        known = {"GH_TOKEN": token} if self.host == WEB else {"GH_HOST": self.host, "GH_ENTERPRISE_TOKEN": token}
        return self.machine(home) | known | {"PATH": path, "GIT_TERMINAL_PROMPT": "0", "GH_TELEMETRY": "false"}

    def on_laptop(self, command: list[str], directory: Path, user: str) -> str:
        """What a command prints that a user runs on their machine; an error with all it said where it fails."""
        environment = self.laptop(user)
        program = shutil.which(command[0], path=environment["PATH"]) or command[0]
        done = subprocess.run([program, *command[1:]], cwd=directory, env=environment, capture_output=True, text=True)
        return raise_for(done)

    @contextmanager
    def killing_runs(
        self, after_step: str | None = None, at_call: str | None = None, answered: bool = False, nth: int = 1
    ) -> Iterator[None]:
        """Kill, in this block, each run that has finished a step, or that makes a call, or the nth of such calls.

        A call is a pattern for "METHOD /path?query"; `answered` says whether GitHub still does what it asks.
        """
        self.last_step = after_step
        self.last_call = (re.compile(at_call), answered, itertools.count(1 - nth)) if at_call else None
        try:
            yield
        finally:
            self.last_step = self.last_call = None

    def answer(self, request: Request) -> Response:
        """The response to any request that reaches this GitHub."""
        sent = request.token
        run = next((run for run in self.runs.values() if sent and sent in (run.token, run.runtime_token)), None)
        if run is None or self.last_call is None:
            return self._answer(request)
        pattern, answered, counted = self.last_call
        if not pattern.search(f"{request.method} {request.target}") or next(counted) < 0:
            return self._answer(request)
        if answered:
            response = self._answer(request)
        else:
            response = Response.error(503, "The run is killed here.")
            if request.path.startswith("/api/uploads/"):  # which begins before its body has come
                self._answer(replace(request, body=io.BytesIO(request.body.read()[:-1])))
        run.cancel()
        return response

    def _answer(self, request: Request) -> Response:
        path = request.path
        for prefix in ("/api/v3", "/api/uploads"):
            if path.startswith(f"{prefix}/"):
                return api.answer_call(self, request, path.removeprefix(prefix).rstrip("/") or "/")
        if path == "/api/graphql":
            return api.answer_query(self, request)
        if path.startswith("/_runner/"):
            return api.actions.answer_runner(self, request)
        git = re.match(r"/([^/]+/[^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)$", path)
        if git:
            return self._answer_git(request, git[1])
        return answer_page(self, request)

    def _answer_git(self, request: Request, name: str) -> Response:
        token = self.tokens.get(request.token) if request.token else None
        repository = self.repositories.get(name)
        ask = Response(401, b"", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if request.token and token is None:
            return ask
        private = repository.private if repository else True
        push = wants_push(request.target)
        reads = allows(token, name, private, ["contents"], "read")
        if token is None and (push or not reads):
            return ask
        if repository is None or not reads:
            return Response(404, b"Repository not found.\n")
        if push and not allows(token, name, private, ["contents"], "write"):
            return Response(403, f"Permission to {name}.git denied to {token.login if token else ''}.\n".encode())
        target = request.target.replace(request.path, f"/{name}.git/" + request.path.split("/", 3)[3])
        user = token.login if token else "anonymous"
        root = self.repositories_root
        status, headers, content = run_backend(root, request.method, target, request.headers, request.body, user)
        if push and request.method == "POST":
            received = b"".join(content)
            repository.refresh_pulls()
            return Response(status, received, headers)
        return Response(status, content, headers)
