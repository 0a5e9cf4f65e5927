"""The part of pandas and NumPy that is compiled: what `trace.py` takes, and the table in docs/serving.md.

A column is a `number`, a `datetime`, a `category` or `text`; what is computed may also be a `bool`, a truth that is
never missing, or a `span` of time. A `boolean` column may have gaps, for which pandas has rules of their own: it is not
compiled.
"""

from typing import NamedTuple

from .program import STEPS

TEXTS = ("category", "text")
COMPARED = ("number", "bool", *TEXTS, "datetime", "span")

ARITHMETIC = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%", "power": "**",
}  # fmt: skip
COMPARISONS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
LOGIC = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
# What an operator gives of the kinds on its left and its right, besides numbers of numbers.
MIXED = {
    ("add", "category", "category"): "category",
    ("add", "datetime", "span"): "datetime",
    ("subtract", "datetime", "span"): "datetime",
    ("subtract", "datetime", "datetime"): "span",
    ("divide", "span", "span"): "number",
    **{
        (step, left, right): "number"
        for step in ("add", "subtract", "multiply")
        for left, right in (("bool", "bool"), ("bool", "number"), ("number", "bool"))
    },
}


class Method(NamedTuple):
    """What an attribute of a column becomes."""

    step: str  # of `program.STEPS`
    takes: tuple[str, ...]  # kinds of columns
    gives: str  # the kind of the result; "" is the column's own
    arguments: str = "()"  # as they are written; "" where it is no method


def _parts(*names: str, **others: str) -> dict[str, Method]:
    steps = dict(zip(names, names, strict=True)) | others
    return {f"dt.{name}": Method(step, ("datetime",), "number", "") for name, step in steps.items()}


METHODS = {
    "abs": Method("absolute", ("number",), "number"),
    "clip": Method("maximum", ("number",), "number", "(lower, upper)"),
    "between": Method("logical_and", COMPARED, "bool", "(left, right)"),
    "astype": Method("number", ("number", "bool"), "number", "(float)"),
    "isna": Method("missing", COMPARED, "bool"),
    "isnull": Method("missing", COMPARED, "bool"),
    "notna": Method("missing", COMPARED, "bool"),
    "notnull": Method("missing", COMPARED, "bool"),
    "fillna": Method("fill", COMPARED, "", "(value)"),
    "where": Method("where", COMPARED, "", "(condition, other)"),
    "mask": Method("where", COMPARED, "", "(condition, other)"),
    "isin": Method("isin", ("number", *TEXTS), "bool", "([…])"),
    "map": Method("map", TEXTS, "number or text", "({…})"),
    **_parts(
        *("year", "quarter", "month", "day", "hour", "minute", "second"),
        **{"day_of_week": "dayofweek", "dayofweek": "dayofweek", "weekday": "dayofweek"},
        **{"day_of_year": "dayofyear", "dayofyear": "dayofyear"},
    ),
    "dt.days": Method("days", ("span",), "number", ""),
    "dt.total_seconds": Method("seconds", ("span",), "number"),
    "str.lower": Method("lower", TEXTS, "category"),
    "str.upper": Method("upper", TEXTS, "category"),
    "str.strip": Method("strip", TEXTS, "category"),
    "str.slice": Method("slice", TEXTS, "category", "(start, stop)"),
    "str.replace": Method("replace", TEXTS, "category", "(part, other)"),
    "str.len": Method("length", TEXTS, "number"),
    "str.contains": Method("contains", TEXTS, "bool", "(part, regex=False)"),
    "str.startswith": Method("startswith", TEXTS, "bool", "(part)"),
    "str.endswith": Method("endswith", TEXTS, "bool", "(part)"),
}
# Of numbers; NumPy's name is the step's.
FUNCTIONS = (
    "log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "sign", "floor", "ceil", "rint", "sin", "cos",
    "tan", "tanh", "arctan", "hypot", "maximum", "minimum", "fmax", "fmin",
)  # fmt: skip
FRAME = (
    "[name]", "[[name, …]]", ".name", "[name] = …", "del rows[name]", "name in rows", "for name in rows", ".columns",
    ".items()", ".copy()", ".pop(name)", ".drop(columns=…)", ".rename(columns=…)", ".assign(…)", ".select_dtypes(…)",
)  # fmt: skip


def result(step: str, left: str, right: str) -> str | None:
    """Return the kind that a step makes of two kinds of columns or constants, None where it is not compiled."""
    if step in COMPARISONS:
        return "bool" if left == right else None
    if step in LOGIC:
        return "bool" if left == right == "bool" else None
    return "number" if left == right == "number" else MIXED.get((step, left, right))


def table() -> str:
    """Return what is compiled as a table of Markdown."""
    lines: dict[tuple[str, str], list[str]] = {
        ("numbers", "number"): [*ARITHMETIC.values(), "-x", "abs(x)", *(f"np.{name}()" for name in FUNCTIONS)],
        ("two of a kind", "condition"): [*COMPARISONS.values()],
        ("conditions", "condition"): [*LOGIC.values(), "~", "np.where(condition, x, y)"],
    }
    for (step, left, right), gives in MIXED.items():
        kinds = " and ".join(sorted({_plural(left), _plural(right)}))
        of = lines.setdefault((kinds, _name(gives)), [])
        of += [ARITHMETIC[step]] if ARITHMETIC[step] not in of else []
    for name, method in METHODS.items():
        kinds = "any column" if method.takes == COMPARED else " or ".join(dict.fromkeys(map(_plural, method.takes)))
        lines.setdefault((kinds, _name(method.gives)), []).append(f".{name}{method.arguments}")
    lines["the rows", ""] = [f"rows{part}" if part[0] in ".[" else part for part in FRAME]
    rows = [
        f"| {' '.join(f'`{part}`' for part in parts)} | {of} | {gives} |".replace("`|`", "`\\|`")
        for (of, gives), parts in lines.items()
    ]
    return "\n".join(["| in features.py | of | gives |", "|---|---|---|", *rows]) + "\n"


def _name(kind: str) -> str:
    return {"category": "text", "bool": "condition", "datetime": "moment", "": "the same"}.get(kind, kind)


def _plural(kind: str) -> str:
    return f"{_name(kind)}s"


assert {*ARITHMETIC, *COMPARISONS, *LOGIC, *FUNCTIONS, *(method.step for method in METHODS.values())} <= STEPS.keys()
