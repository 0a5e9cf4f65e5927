"""What a project's commands write is on the page that explains every file."""

import re

from baked import TEMPLATE, Project


def test_each_file_that_git_keeps_of_a_trained_project_is_on_the_page(released: Project) -> None:
    page = (TEMPLATE / "docs/files.md").read_text("utf-8").replace("<package>", "customer_churn")
    kept = released.run("git", "ls-files").stdout.splitlines()
    assert {"dvc.lock", "schema.yaml", "plots/dvc.yaml"} <= set(kept)
    named = [re.sub(r"^(vendor/mlops_actions)-[\d.]+-", r"\1-X.Y.Z-", name) for name in kept]
    assert [name for name in named if f"`{name}`" not in page] == []
    ignored = released.run("git", "check-ignore", "recipes.yaml").stdout.split()
    assert ignored == ["recipes.yaml"], "which the first stage writes"
