"""The first look at the data: what `mlops setup` writes of it, once."""

from .config import Config
from .schema import SCHEMA, infer_schema
from .table import read_table


def ensure_schema(config: Config) -> bool:
    """Infers schema.yaml from the dataset unless there is one; says whether it was written."""
    if config.path(SCHEMA).exists():
        return False
    rows = read_table(config.path(config.data.path))
    schema = infer_schema(rows, config.data.target, config.data.task)
    typed = schema.apply(rows, source=config.data.path)
    schema.write(config.path(SCHEMA))
    for name, column in schema.columns.items():
        if column.type == "category" and name not in config.data.drop and typed[name].nunique() > len(rows) / 2:
            print(f"hint: {name!r} differs in most rows; an identifier belongs in data.drop of params.yaml")
    return True
