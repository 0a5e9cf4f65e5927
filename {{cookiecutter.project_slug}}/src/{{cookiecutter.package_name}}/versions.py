"""The model's versions: GTO's annotated tags `model@v1.2.3`, and the stages given to them, `model#prod#1`."""

from dataclasses import dataclass

from .git import git

MODEL = "model"
CHAMPION_STAGE = "prod"


@dataclass(frozen=True)
class Version:
    """One registered version: its name, as `v1.2.3`, and the commit that its tag points at."""

    name: str
    commit: str

    def __str__(self) -> str:
        """Return the name that people use."""
        return self.name

    @property
    def tag(self) -> str:
        """Return the git tag that registers it."""
        return f"{MODEL}@{self.name}"


def list_versions(stage: str | None = None) -> list[Version]:
    """Return the registered versions, the newest first; with `stage`, only the version that holds it."""
    if not git("tag", "--list", f"{MODEL}@*"):
        return []  # the usual answer of a young repository, without importing GTO
    from gto.api import show

    shown = show(".", f"{MODEL}#{stage}" if stage else MODEL)
    return [Version(entry["version"], entry["commit_hexsha"]) for entry in shown if not entry["discovered"]]


def newest_version() -> Version | None:
    """Return the highest registered version, or None before the first."""
    return next(iter(list_versions()), None)


def champion_version() -> Version | None:
    """Return the version in production, else the newest, else None before the first."""
    return next(iter(list_versions(CHAMPION_STAGE)), None) or newest_version()
