"""What `dvc plots` draws of a model, which its task decides: plots/dvc.yaml, and the template that it names."""

from importlib import resources
from pathlib import Path

from ..core.config import Task
from ..core.files import write_file

DEFINITIONS = "dvc.yaml"
TEMPLATE = "curve.json"


def write_plots(folder: Path, task: Task) -> None:
    """Write the plots of a task's models into a project's folder plots/; what its owner edited stays.

    Args:
        folder: where plots/dvc.yaml and its template are.
        task: what was found out: classification or regression.
    """
    shipped = resources.files(__package__).joinpath("plots")
    definitions = {name: shipped.joinpath(f"{name}.yaml").read_bytes() for name in ("classification", "regression")}
    place, template = folder / DEFINITIONS, folder / TEMPLATE
    if task == "classification" and not template.exists():
        write_file(template, shipped.joinpath(TEMPLATE).read_bytes())
    if not place.exists() or place.read_bytes() in definitions.values():
        write_file(place, definitions[task])
