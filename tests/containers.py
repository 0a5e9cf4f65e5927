"""Containers on this machine: podman, under the name of docker, with a store of its own that ends with the tests."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from baked import environment
from servers import free_port, wait_for

# A machine inside another may give a process less than podman asks for by itself.
LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Engine:
    """What `docker` is here: the folder that has it, the registry that it trusts, and the variables that it needs."""

    folder: Path
    registry: str
    variables: dict[str, str]

    def docker(self, *words: str | Path, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """The finished `docker WORDS`; the test fails with what it said if it failed and `check` is on."""
        done = subprocess.run(
            [self.folder / "docker", *words],
            env=environment(**self.variables),
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            pytest.fail(f"docker {' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def inspect(self, name: str) -> dict[str, Any]:
        """What is known of an image or a container."""
        (found,) = json.loads(self.docker("inspect", name).stdout)
        return dict(found)


@contextmanager
def start_engine(folder: Path) -> Iterator[Engine]:
    """An engine of which nothing is left."""
    podman = shutil.which("podman")
    if podman is None:
        pytest.skip("podman is not installed")
    registry = f"localhost:{free_port()}"
    (folder / "containers.conf").write_text(LIMITS)
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    runtime = "--runtime=runc" if shutil.which("runc") else ""
    # Podman refuses a longer path than 50 letters here, and a folder of pytest's may have one.
    state = tempfile.mkdtemp(prefix="podman-")
    (folder / "build-options").touch()
    (folder / "docker").write_text(
        f"""#!/bin/sh
[ "$1" != build ] || {{ shift; set -- build $(cat {folder}/build-options) "$@"; }}
exec {podman} --root={folder}/store --runroot={state} {runtime} "$@"
"""
    )
    (folder / "docker").chmod(0o755)
    variables = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }
    engine = Engine(folder, registry, variables)
    try:
        yield engine
    finally:
        engine.docker("rm", "--all", "--force", "--time=0")
        engine.docker("rmi", "--all", "--force")
        shutil.rmtree(state, ignore_errors=True)


def bring_python(engine: Engine, base: str, folder: Path) -> str:
    """The name in the store of what a Dockerfile's FROM names: that image, or one of Debian's packages in its place.

    The second where Docker Hub is out of reach: no other image can have that digest, so builds are told to take it.
    """
    tag, digest = base.split("@")
    image = f"docker.io/library/{tag.partition(':')[0]}@{digest}"
    if engine.docker("pull", "--quiet", image, check=False).returncode == 0:
        return image
    if shutil.which("mmdebstrap") is None:
        pytest.skip(f"{image} cannot be pulled, and mmdebstrap, which would make it, is not installed")
    root = folder / "python.tar"
    hooks = ["rm $1/usr/lib/python3.11/EXTERNALLY-MANAGED", "ln -s /usr/bin/python3 $1/usr/local/bin/python"]
    if certificates := os.environ.get("SSL_CERT_FILE"):
        hooks.append(f"upload {certificates} {CERTIFICATES}")
    options = [f"--customize-hook={hook}" for hook in hooks]
    packages = "--include=python3,python3-pip,python3-venv,ca-certificates"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", packages, *options, "bookworm", root]
    subprocess.run(command, check=True, timeout=500)
    trust = [f"--change=ENV {name}={CERTIFICATES}" for name in ("PIP_CERT", "SSL_CERT_FILE")]
    image = f"docker.io/library/{tag}"
    engine.docker("import", *trust, root, image)
    root.unlink()
    (engine.folder / "build-options").write_text(f"--build-context={base}=container-image://{image}")
    return image


@contextmanager
def serve_registry(engine: Engine) -> Iterator[str]:
    """The address of the registry that the engine trusts, which Debian's docker-registry is."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    port = int(engine.registry.rpartition(":")[2])
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(engine.folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file, log = engine.folder / "registry.yml", engine.folder / "registry.log"
    file.write_text(json.dumps(settings))
    with log.open("w") as said:
        process = subprocess.Popen([program, "serve", file], stdout=said, stderr=said)
    try:
        wait_for(port, process, log)
        yield engine.registry
    finally:
        process.kill()
        process.wait()
