"""The container image of a version, built from its own commit and bundle by docker, podman or buildah."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..bundle.parts import needs_code, read_parts
from ..core.config import load_config
from ..core.errors import UserError
from ..core.git import check_out
from ..core.github import server_url
from ..core.paths import BUNDLE
from .assets import write_bundle
from .attestation import beside, require_attested
from .download import fetch_asset
from .roles import find_version
from .versions import Version

DOCKERFILE = "deploy/Dockerfile"
ENGINES = ("docker", "podman", "buildah")


def image(name: str = "", push: bool = False) -> None:
    """Build the image of a version, the newest where there is no name; with `push`, send it to its registry.

    Raises:
        UserError: there is no such version or no program to build with, or that program failed.
    """
    place = load_config().serving.image
    if place is None:
        print("serving.image in params.yaml is null: no image is asked for.")
        return
    version = find_version(name)
    reference = f"{place}:{version}"
    engine = find_engine()
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        group = lay_context(version, context)
        lay_attestation(version, context)
        file, arguments = f"--file={context / DOCKERFILE}", (f"--build-arg=GROUP={group}", *labels(version))
        run_engine(engine, "build", file, *arguments, f"--tag={reference}", str(context))
    print(f"Built {reference}")
    if push:
        run_engine(engine, "push", reference)
        print(f"Pushed {reference}")


def find_engine() -> str:
    """Return the program that builds: docker, else podman, else buildah.

    Raises:
        UserError: none is installed.
    """
    engine = next(filter(shutil.which, ENGINES), None)
    if engine is None:
        raise UserError(f"none of {', '.join(ENGINES)} is on PATH: install one, it builds the image.")
    return engine


def lay_context(version: Version, context: Path) -> str:
    """Write what the image is made of, as it was at the version, into `context`; return what it needs installed.

    Raises:
        UserError: the version is older than its container, or looks into a history, which no image has.
    """
    check_out(version.commit, context)
    if not (context / DOCKERFILE).exists():
        raise UserError(f"{version} has no {DOCKERFILE}: build the image of a later version.")
    if load_config(context).history.entity:
        raise UserError(f"{version} looks into a history, which an image would hold still: serve it by `mlops serve`.")
    return "full" if needs_code(read_parts(write_bundle(version, context)).manifest) else "serving"


def lay_attestation(version: Version, context: Path) -> None:
    """Put the attestation of a version's release beside its bundle in `context`, and check it as the image will.

    Raises:
        UserError: it does not hold, or there is none and the version's params.yaml requires one.
    """
    settings, bundle = load_config(context).serving.attestation, context / Path(BUNDLE).name
    if settings.repository is None:
        return
    try:
        beside(bundle).write_bytes(fetch_asset(version, beside(bundle).name))
    except UserError as error:
        print(f"The image has no attestation of its bundle: {error}")
    if settings.trusted_root:
        settings = settings.model_copy(update={"trusted_root": str(context / settings.trusted_root)})
    require_attested(bundle, settings)


def labels(version: Version) -> list[str]:
    """Return the options that tell an image's reader where it comes from, in the words of the OCI."""
    values = {"version": str(version), "revision": version.commit}
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        values["source"] = f"{server_url()}/{repository}"
    return [f"--label=org.opencontainers.image.{name}={value}" for name, value in values.items()]


def run_engine(*command: str) -> None:
    """Run the program that builds, which says itself how it fares.

    Raises:
        UserError: it failed.
    """
    # Of the two formats that podman and buildah write, docker's is the one that has a HEALTHCHECK.
    if subprocess.run(command, env={**os.environ, "BUILDAH_FORMAT": "docker"}).returncode:
        raise UserError(f"`{' '.join(command[:2])}` failed: its own message is above.")
