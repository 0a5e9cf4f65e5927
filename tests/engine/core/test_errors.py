"""A library that is not installed is named with the group that has it."""

import sys
from pathlib import Path

import pytest
from mlops_actions.core.errors import UserError, need


def test_the_group_is_that_of_the_library_which_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python_calamine.py").write_text("import distributed\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "python_calamine", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match='^a workbook needs distributed: add "cluster" to default-groups'):
        need("python_calamine", "a workbook")


def test_a_library_that_lacks_itself_names_its_own_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(UserError, match='needs python_calamine: add "excel"'):
        need("python_calamine", "a workbook")
