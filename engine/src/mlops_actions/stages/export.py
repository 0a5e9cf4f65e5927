"""Stage 6: the bundle to release: ONNX where it agrees with scikit-learn on every row, skops otherwise."""

from collections.abc import Iterable
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from ..bundle.archive import write_bundle
from ..bundle.convert import convert
from ..bundle.features import code_digests, features_module
from ..bundle.fitted import classes_of, dump_model, read_model, types_of
from ..bundle.trace import Untraceable, trace
from ..core.config import Config
from ..core.paths import BUNDLE, PIPELINE, TEST_FEATURES, TEST_ROWS
from ..data.schema import SCHEMA, load_schema
from ..data.table import columns_of, read_groups
from ..data.values import MISSING_CATEGORY
from .effective import params_of
from .proof import Case, FeaturesProof, OnnxProof, blank, make_edges, make_reference

LIBRARIES = ("scikit-learn", "numpy", "skl2onnx", "onnx", "onnxruntime", "skops")


def run(config: Config) -> None:
    """Write the bundle, and say which format it has and why, and what makes its features when it is served."""
    features = (table.drop(columns=config.data.target) for table in read_groups(config.path(TEST_FEATURES)))
    batches = zip(read_groups(config.path(TEST_ROWS)), features, strict=True)
    manifest = build_bundle(config, read_model(config.path(PIPELINE)), batches, config.path(BUNDLE))
    print(f"export: {manifest['format']} ({manifest['why']})")
    print(
        f"export: features.py is {'compiled' if manifest['features'] else 'served by pandas'} ({manifest['compiled']})"
    )


def build_bundle(
    config: Config, pipeline: Any, batches: Iterable[tuple[pd.DataFrame, pd.DataFrame]], path: Path
) -> dict[str, Any]:
    """Write the bundle of a fitted pipeline, proved on typed rows and their features; its manifest comes back."""
    schema = load_schema(config.path(SCHEMA)).without(config.unneeded([]))
    contract = {name: column.model_dump(exclude_defaults=True) for name, column in schema.columns.items()}
    batches = iter(batches)
    first = Case.of(*next(batches), [*contract])
    edges = make_edges(config, pipeline, first, contract)
    numbers, categories = columns_of(first.features)
    onnx, why = convert(pipeline, numbers, categories)
    program, compiled = _compile(config, contract)
    parity = OnnxProof(config, onnx, pipeline, numbers, categories) if onnx else None
    same = FeaturesProof(program, contract, numbers, categories) if program else None
    for case in chain([edges, first], (Case.of(*batch, [*contract]) for batch in batches)):
        if same:
            same.look_at(case)
        if parity:
            parity.look_at(case.features)
    if parity:
        parity.look_at(blank(pipeline, first.features))
        why = parity.sentence
    if same:
        compiled, program = same.sentence, program if same.agrees else None
    agrees = parity is not None and parity.agrees
    model = onnx if onnx and agrees else dump_model(pipeline)
    manifest = {
        "format": "onnx" if agrees else "skops",
        "why": why,
        "task": config.data.task,
        "target": config.data.target,
        "classes": classes_of(pipeline),
        "positive": config.data.positive,
        "threshold": config.model.threshold,
        "inputs": {"numbers": numbers, "categories": categories, "missing_category": MISSING_CATEGORY},
        "contract": contract,
        "features": program,
        "compiled": compiled,
        "code": code_digests(config),
        "params": params_of(pipeline[-1]),
        "parity": parity.figures if parity else None,
        "trusted": [] if agrees else types_of(model),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    write_bundle(path, model, manifest, schema.to_yaml(), make_reference(config, pipeline, first, edges))
    return manifest


def _compile(config: Config, contract: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return the program of features.py, or why there is none."""
    if config.history.entity:
        return None, "it needs the history that features.sql makes"
    kinds = {name: column["type"] for name, column in contract.items() if name not in config.data.unseen}
    try:
        return trace(features_module(config).add_features, kinds), ""
    except Untraceable as error:
        return None, f"it cannot be compiled: {error}"
