from pathlib import Path

import pytest
from baked import Bake, Project, copy_template
from cookiecutter.main import cookiecutter


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Share a clean copy of the template: read it only."""
    return copy_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def bake(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Bake:
    """Generate a project: `bake(task="regression")`."""
    settings = tmp_path_factory.mktemp("cookiecutter") / "config.yaml"
    settings.write_text(f"replay_dir: {settings.parent}\ncookiecutters_dir: {settings.parent}\n")

    def bake_project(output: Path | None = None, **answers: str) -> Project:
        output = output or tmp_path_factory.mktemp("baked")
        path = cookiecutter(
            str(template),
            no_input=True,
            extra_context=answers,
            output_dir=str(output),
            config_file=str(settings),
        )
        return Project(Path(path))

    return bake_project


@pytest.fixture(scope="session")
def project(bake: Bake) -> Project:
    """Share one project of the example, set up and committed: read it, or modify a `copy()`."""
    generated = bake()
    generated.run("make", "setup")
    generated.commit("Begin")
    return generated
