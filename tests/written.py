"""A table whose cells are written as people write them: dates with points, euros, percent, a mark for missing."""

from pathlib import Path

import pandas as pd
from baked import Project
from tables import DATA

ROWS = 120
COLUMNS: dict[str, list[object]] = {
    "when": [f"{1 + n % 28:02}.{1 + n % 12:02}.2024" for n in range(ROWS)],
    "price": [f"{n % 17 + 1}.200,50 €" for n in range(ROWS)],
    "share": [f"{n % 13} %" for n in range(ROWS)],
    "size": ["?" if n % 9 == 0 else n % 31 for n in range(ROWS)],
    "note": [["short", "long", "none"][n % 3] for n in range(ROWS)],
}
LABELS: list[object] = [["no", "yes"][n * 5 % 7 % 2] for n in range(ROWS)]


def write_table(generated: Project, folder: Path, task: str, columns: dict[str, list[object]], target: str) -> Path:
    """Write a project of this table with other columns, and return its folder; a column of no cells is left out."""
    root = generated.copy(folder / "project").path
    table = {name: cells for name, cells in {**COLUMNS, "target": LABELS, **columns}.items() if cells}
    pd.DataFrame(table).to_csv(root / DATA, index=False)
    text = generated.read("params.yaml").replace("task: guess", f"task: {task}")
    (root / "params.yaml").write_text(text.replace('target: "churn"', f"target: {target}"))
    return root
