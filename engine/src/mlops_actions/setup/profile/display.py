"""The table that setup prints: what every column is taken for, what happens to it, and what to look at."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .columns import Look
from .knobs import Guesses

NARROW = 110
TREATED = {
    "number": "as it is",
    "boolean": "as 0 and 1",
    "category": "a value each",
    "text": "its words",
    "datetime": "days, month, weekday, hour",
}


def show_profile(looks: list[Look], target: str, dropped: dict[str, str], knobs: Guesses, rows: str) -> None:
    """Print a line for each column and for each knob that was set."""
    console = Console(highlight=False)
    if not console.is_terminal or console.width < NARROW:
        console = Console(highlight=False, width=NARROW)
    table = Table(title=f"What the columns are taken for ({rows})", title_justify="left", box=None, pad_edge=False)
    for heading in ("column", "taken for", "missing", "treatment", "look at"):
        table.add_column(heading, justify="right" if heading == "missing" else "left", overflow="fold")
    for look in looks:
        treatment = "predicted" if look.name == target else TREATED[look.column.type]
        guesses = [f"guess: {guess}" for guess in look.guesses]
        if look.name in dropped:
            treatment, guesses = "dropped", [*guesses, f"guess: {dropped[look.name]}"]
        taken, missing = f"{look.column.type}, {look.distinct:,} values", f"{look.missing:.0%}" if look.missing else ""
        cells = (look.name, taken, missing, treatment, "; ".join([*guesses, *look.hints]))
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
    for name, (value, why) in knobs.items():
        if name != "data.drop":
            console.print(Text(f"setup: {name}: {value} (guess: {why})"))
