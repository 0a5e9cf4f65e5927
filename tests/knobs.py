"""A project whose knobs tests turn: its params.yaml, and the rows that its last run trained on."""

import json

from baked import Project

MARGIN, WIDER = "  margin: 0.01\n", "  margin: 0.05\n"


def summarize(project: Project, rows: int) -> None:
    """Let the last run have trained on so many rows."""
    (project.path / "data").mkdir(exist_ok=True)
    project.write("data/summary.json", json.dumps({"train_rows": rows}))


def turn(project: Project, *changes: tuple[str, str], file: str = "params.yaml") -> None:
    """Change the text of a file."""
    text = project.read(file)
    for old, new in changes:
        assert text.count(old) == 1, f"{file} says {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    project.write(file, text)


def open_knobs(project: Project) -> Project:
    """The project as after training a logistic regression on 500 rows."""
    turn(
        project,
        ("primary: guess", "primary: roc_auc"),
        ("estimator: hist_gradient_boosting", "estimator: logistic"),
    )
    summarize(project, 500)
    return project
