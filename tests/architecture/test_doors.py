"""One outside library, one door: each is imported by one file, so that a change of it changes one file."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.architecture.source import ROOT, imports, modules

BASE = {"numpy", "torch", "pandas", "PIL", "pydantic", "safetensors"}
"""The vocabulary of the field: used wherever it fits."""
DOORS = {
    "cleanlab": "selection/confident.py",
    "datasets": "readers/huggingface.py",
    "faster_coco_eval": "evaluation/boxes/coco.py",
    "huggingface_hub": "backbones/hub.py",
    "jinja2": "report/page.py",
    "lightning": "training/learner.py",
    "mlflow": "tracking/recorder.py",
    "onnxruntime": "features/exported.py",
    "ot": "methods/transport.py",
    "peft": "injection.py",
    "optuna": "tuning/study.py",
    "rich": "cli/",
    "scipy.fft": "data/duplicates.py",
    "scipy.linalg": "scores/",
    "scipy.ndimage": ("data/mask_findings.py", "data/outlines.py", "mask_losses/", "metrics/boundaries.py"),
    "scipy.optimize": ("evaluation/calibration.py", "label_shift.py", "selection/laws.py"),  # a root; least squares
    "scipy.sparse": ("data/duplicates.py", "label_propagation.py"),
    "scipy.special": ("held_out.py", "scores/", "selection/forecast.py"),
    "scipy.spatial": "metrics/boundaries.py",
    "scipy.stats": ("evaluation/spread.py", "scores/"),
    "segmentation_models_pytorch": "segmenters/head.py",
    "sklearn.datasets": "digits.py",
    "sklearn.exceptions": ("logistic.py", "scores/"),
    "sklearn.linear_model": "logistic.py",
    "sklearn.mixture": "scores/nleep.py",
    "sklearn.model_selection": "held_out.py",
    "threadpoolctl": ("logistic.py", "scores/"),
    "timm": "backbones/timm_backbone.py",
    "torchmetrics": "training/monitor.py",
    "torchvision.models.detection": "detectors/",
    "torchvision.models.segmentation": "segmenters/",
    "torchvision.models": ("backbones/torchvision_backbone.py", "backbones/torchvision_detectors_backbone.py"),
    "torchvision.ops": ("backbones/drop_path.py", "detectors/", "merging.py"),
    # one image at a time; an image with its boxes; whole batches
    "torchvision.transforms": ("data/augment.py", "data/augment_boxes.py", "data/augment_masks.py", "mixes/"),
    "torchvision": ("data/augment_boxes.py", "data/augment_masks.py"),  # its tv_tensors, imported as a name
    "transformers": "backbones/transformers_library.py",
    "typer": "cli/",
    "yaml": "configuration.py",
}
"""Library, or the part of a large one that does one thing -> the one file (or the room, where each leaf is a door)."""


def outside(name: str) -> bool:
    top = name.partition(".")[0]
    return top != "headstart" and top not in sys.stdlib_module_names


def door(name: str) -> str | tuple[str, ...] | None:
    """The door of a dotted name: the first entry of DOORS that it is, or lies in."""
    return next((file for library, file in DOORS.items() if name == library or name.startswith(library + ".")), None)


def canonical(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_each_library_is_imported_through_its_one_door():
    wrong = [f"{module} imports {name}; its door is {door(name)}" for module, tree in modules().items()
             for name in imports(tree)
             if outside(name) and name.partition(".")[0] not in BASE
             and not module.startswith(door(name) or "no door: add one to DOORS")]
    assert wrong == []


def test_every_door_is_used():
    used = {door(name) for tree in modules().values() for name in imports(tree) if outside(name)}
    assert set(DOORS.values()) - used == set()


def test_every_library_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {canonical(re.split(r"[\[<>=; ]", line)[0]) for line in lines}
    providers = packages_distributions()
    imported = {name.partition(".")[0] for tree in modules().values() for name in imports(tree) if outside(name)}
    missing = {name for name in imported if not declared & {canonical(p) for p in providers.get(name, [])}}
    assert missing == set()


def test_heavy_libraries_stay_out_of_the_command_lines_help():
    """`headstart --help` must be instant: what it imports at the top of files may not be heavy."""
    program = ("import sys; from headstart.cli import application; application();"
               "print([n for n in ('torch', 'lightning', 'mlflow', 'timm', 'sklearn', 'pandas', 'transformers')"
               " if n in sys.modules])")
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
