"""Which versions are whole: whether origin alone has all that they name, in the bytes that the names are of."""

from collections.abc import Collection
from dataclasses import dataclass, field

from ..core import git
from ..core.errors import UserError
from ..core.paths import BUNDLE
from .objects import members, wanted
from .store import uses_store
from .store_ref import REF, StoreRef, count, first, open_ref
from .versions import MODEL, fetch_tags, list_versions


@dataclass
class Finding:
    """What origin has of a version: the objects it names, and the paths of those that are not there or damaged."""

    objects: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    unreadable: str = ""

    @property
    def whole(self) -> bool:
        """Return whether it can be restored from origin."""
        return not (self.lacking or self.damaged or self.unreadable)

    def __str__(self) -> str:
        """Return it in words."""
        if self.whole:
            return f"whole: {count(self.objects)}"
        lacking = [f"{first(self.lacking)} is not in the store"] if self.lacking else []
        damaged = [f"{first(self.damaged)} is damaged in the store"] if self.damaged else []
        return "not whole: " + (self.unreadable.rstrip(".") or "; ".join(lacking + damaged))


def doctor(deep: bool = False) -> bool:
    """Print of each version on origin whether its objects are there, and what helps; return whether all are.

    Args:
        deep: compare the bytes of every object with its name, and not of the bundles and listings alone.

    Raises:
        UserError: origin was not reached, or is not where the objects are.
    """
    if not uses_store():
        raise UserError(
            "`mlops doctor` looks at the repository's own store, and .dvc/config names another remote: "
            "`dvc status --cloud --all-tags` compares that with what is here."
        )
    fetch_tags()
    versions = list_versions()
    findings = {version.name: Finding() for version in versions}
    for version in versions:
        try:
            findings[version.name].objects = wanted(rev=version.commit)
        except UserError as error:
            findings[version.name].unreadable = str(error)
    if not findings:
        print("There is no version yet.")
        return True
    url = git.remote_url()
    assert url, "fetch_tags has refused"
    with open_ref(url) as ref:
        examine(findings.values(), ref, deep)
    for name, finding in findings.items():
        print(f"{name}  {finding}")
    if not ref.tip:
        print(f"{ref.name} has no {REF}: it has no store, or somebody deleted it.")
    elif not deep:
        print("Only bundles' and directory listings' bytes were compared; `mlops doctor --deep` compares all.")
    if any(finding.lacking for finding in findings.values()):
        print("`mlops push --all` sends what is lacking, on a machine that has it in .dvc/store or DVC's cache.")
    if any(finding.damaged for finding in findings.values()):
        print("`mlops push --all --replace` sends what is damaged again, on a machine that has it.")
    if broken := [name for name, finding in findings.items() if finding.lacking or finding.damaged]:
        print(
            f"What no machine has: after `git switch --detach {MODEL}@{broken[0]}`, `mlops train --lost` makes results "
            "again and `mlops push --replace` sends them; data is lost."
        )
    return all(finding.whole for finding in findings.values())


def examine(findings: Collection[Finding], ref: StoreRef, deep: bool) -> None:
    """Add to each finding the members of its directories, and what is wrong with any of its objects in the ref."""
    named = {md5: name for finding in findings for md5, name in finding.objects.items() if md5 in ref.listing}
    inside: dict[str, dict[str, str]] = {}
    damaged: set[str] = set()
    for md5, file, sound in ref.receive({md5: name for md5, name in named.items() if md5.endswith(".dir")}):
        try:
            inside[md5] = members(file, named[md5]) if sound else {}
        except UserError:
            sound = False
        damaged |= set() if sound else {md5}
    for finding in findings:
        for md5 in finding.objects.keys() & inside.keys():
            finding.objects |= inside[md5]
        named |= {md5: name for md5, name in finding.objects.items() if md5 in ref.listing}
    suspects = {md5: name for md5, name in named.items() if (deep or name == BUNDLE) and not md5.endswith(".dir")}
    damaged |= {*ref.damaged(suspects)}
    for finding in findings:
        finding.lacking = [name for md5, name in finding.objects.items() if md5 not in ref.listing]
        finding.damaged = [name for md5, name in finding.objects.items() if md5 in damaged]
