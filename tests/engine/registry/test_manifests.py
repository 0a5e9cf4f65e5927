"""The manifests that run a version in a cluster are written as a whole, over nobody's edit unless that is asked for."""

from pathlib import Path

import pytest
import yaml
from mlops_actions.core.errors import UserError
from mlops_actions.registry.manifests import image_name, manifests

PARAMS = "data: {path: rows.csv, target: churn, task: guess}\nmodel: {estimator: guess}\n"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with params alone, in whose folder the test works."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Customer_Churn"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: str) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in Path(folder).rglob("*") if path.is_file()}


def test_they_are_yaml_that_names_the_image_and_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    manifests(Path("deploy/k8s"))
    made = written("deploy/k8s")
    said = capsys.readouterr().out
    assert f"Wrote {len(made)} files to deploy/k8s" in said
    assert "serving.image in params.yaml is null: they name customer-churn, which no registry has" in said
    assert "customer-churn" in made["single/kustomization.yaml"]
    assert all(list(yaml.safe_load_all(text)) for name, text in made.items() if name.endswith(".yaml"))
    manifests(Path("deploy/k8s"))
    assert "deploy/k8s is as it would be written" in capsys.readouterr().out and written("deploy/k8s") == made


def test_an_image_of_a_registry_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "params.yaml").write_text(PARAMS + "serving: {image: ghcr.io/acme/churn}\n")
    manifests(Path("k8s"))
    assert "ghcr.io/acme/churn" in written("k8s")["single/kustomization.yaml"]
    assert "no registry" not in capsys.readouterr().out


def test_what_was_edited_is_replaced_only_by_force() -> None:
    manifests(Path("k8s"))
    made = written("k8s")
    Path("k8s/single/kustomization.yaml").write_text("edited")
    Path("k8s/own.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"^k8s/single/kustomization\.yaml differs from what would be written: --force"):
        manifests(Path("k8s"))
    for path in sorted(Path("k8s/base").iterdir()):
        path.write_text("edited")
    with pytest.raises(UserError, match=r"and \d+ more differ from what"):
        manifests(Path("k8s"))
    manifests(Path("k8s"), force=True)
    assert written("k8s") == made | {"own.yaml": "mine"}


def test_what_is_in_the_way_is_named_and_nothing_is_replaced() -> None:
    Path("k8s/single/kustomization.yaml").mkdir(parents=True)
    with pytest.raises(UserError, match=r"^k8s cannot be written \(Is a directory: .*\): name another by --out\.$"):
        manifests(Path("k8s"), force=True)
    assert written("k8s") == {}


@pytest.mark.parametrize(("name", "image"), [("churn", "churn"), ("My__Big.Model", "my-big-model")])
def test_an_image_without_a_registry_is_named_as_an_index_names_projects(name: str, image: str) -> None:
    assert image_name(name) == image
