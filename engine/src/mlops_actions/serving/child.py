"""The process beside the server that answers for one version: rows of JSON in, values out, each after its length."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from ..bundle.contract import Problem
from ..bundle.model import Answers, ReleasedModel, check_reference
from ..bundle.parts import Parts, needs_code, read_parts
from ..core.errors import UserError


def main() -> None:
    """Answer until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what add_features prints is no answer
    path = Path(sys.argv[1])
    try:
        parts = read_parts(path)
        answer = (
            with_code(path, parts)
            if needs_code(parts.manifest)
            else ReleasedModel(parts, str(path), enforce=False).answer
        )
        check_reference(answer, parts, str(path))
    except UserError as error:
        send(sink, str(error))
        return
    send(sink, "ready")
    while size := source.read(4):
        content = source.read(int.from_bytes(size, "big"))
        try:
            values, problems = answer(msgspec.json.decode(content))
            send(sink, (values.tolist(), problems))
        except Exception as error:  # rows and code are from elsewhere: whatever they fail with is the answer
            send(sink, f"{type(error).__name__}: {error}")


def send(sink: BinaryIO, message: Any) -> None:
    """Write an answer."""
    content = msgspec.json.encode(message)
    sink.write(len(content).to_bytes(4, "big") + content)
    sink.flush()


def with_code(path: Path, parts: Parts) -> Callable[[Sequence[Any]], Answers]:
    """Return what a bundle answers with this project's features.py, pandas and scikit-learn.

    Raises:
        UserError: the bundle was made with other code than this project has.
    """
    import pandas as pd

    from ..bundle.archive import load_bundle
    from ..bundle.features import code_digests, make_features
    from ..core.config import load_config
    from ..data.history_table import join_history
    from ..data.schema import parse_schema

    config, bundle = load_config(), load_bundle(path)
    schema = parse_schema(parts.schema, f"{path}: schema.yaml")
    if code_digests(config) != parts.manifest["code"]:
        raise UserError(
            f"{path}: was made with another features.py or features.sql than this project has; serve it from its own "
            "commit."
        )

    def answer_all(rows: Sequence[Any]) -> np.ndarray:
        typed = schema.apply(pd.DataFrame(list(rows)), with_target=False, source="the rows", enforce=False, new=True)
        return np.asarray(bundle.predict(make_features(join_history(typed, config), config)).values)

    def answer(rows: Sequence[Any]) -> Answers:
        try:
            return Answers(answer_all(rows), {})
        except (UserError, ValueError) as error:  # a row that features.py or scikit-learn refuses; which one?
            if len(rows) == 1:
                return Answers(np.empty(0), {0: Problem(None, f"is beyond what the model can compute: {error}")})
        middle = len(rows) // 2
        first, second = answer(rows[:middle]), answer(rows[middle:])
        values = [half.values for half in (first, second) if len(half.values)]
        later = {middle + number: problem for number, problem in second.problems.items()}
        return Answers(np.concatenate(values) if values else np.empty(0), first.problems | later)

    return answer


if __name__ == "__main__":
    main()
