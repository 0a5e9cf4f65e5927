"""How the data's file is written is found out once, and noted where its owner sees it."""

from collections.abc import Callable

import pytest
from baked import Project
from mlops_actions.core.config import Read, load_config
from mlops_actions.data.table import read_table
from mlops_actions.setup.describe import learn_reading
from tables import DATA


def test_what_was_guessed_is_written_into_params(
    fresh: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    project = fresh(300)
    numbers = read_table(project.path / DATA)["total_day_minutes"].astype(float)
    project.write(DATA, project.read(DATA).replace(",", ";").replace(".", ","))
    before = project.read("params.yaml").splitlines()
    learned = learn_reading(load_config(project.path, guesses=True)).data.read
    assert capsys.readouterr().out == (
        f"setup: {DATA} seems to have delimiter ';', decimal ',': see data.read in params.yaml\n"
    )
    after = project.read("params.yaml").splitlines()
    assert [line for line in after if line not in before and line.startswith("    d")] == [
        '    delimiter: ";" # guess: from the file',
        '    decimal: "," # guess: from the file',
    ]
    assert learned == load_config(project.path, guesses=True).data.read == Read(delimiter=";", decimal=",")
    assert (read_table(project.path / DATA, learned)["total_day_minutes"].astype(float) == numbers).all()
