"""Write what another YOLOX answers: `python benchmarks/peers/yolox_numbers.py`, with pixeltable-yolox installed.

Into tests/detectors/yolox_numbers.json: losses, and the surest boxes, of YOLOX-Nano with weights, pictures and objects
by the formula of tests/detectors/formula.py. The package is not a dependency of Headstart.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from yolox.config import YoloxConfig
from yolox.utils import postprocess

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.detectors.formula import fill, pictures, targets  # noqa: E402

CLASSES, CONFIDENCE, OVERLAP, SHOWN = 80, 0.02, 0.65, 12


def rows() -> torch.Tensor:
    """Return [B, G, 5] as the library has objects: class, middle, size; filled up with zeros."""
    found = torch.zeros(2, max(len(one["labels"]) for one in targets()), 5)
    for row, one in enumerate(targets()):
        boxes, count = one["boxes"], len(one["labels"])
        found[row, :count, 0] = one["labels"].float()
        found[row, :count, 1:3] = (boxes[:, :2] + boxes[:, 2:]) / 2
        found[row, :count, 3:] = boxes[:, 2:] - boxes[:, :2]
    return found


def main() -> None:
    model = YoloxConfig.get_named_config("yolox_nano").get_model().eval()
    with torch.no_grad():
        fill(model.state_dict())
        images = pictures().flip(1)  # it expects blue first
        found = postprocess(model(images), CLASSES, CONFIDENCE, OVERLAP)
    model.head.training = True  # by which the head alone gives its losses, with the statistics as they are
    total, *parts = model.head(model.backbone(images), rows(), images)[:4]
    total.backward()
    gradients = {name: float(parameter.grad.norm()) for name, parameter in model.named_parameters()
                 if "preds" in name or name.endswith(("stem.conv.conv.weight", "C3_n3.conv3.conv.weight"))}
    answers = []
    for one in found:
        order = (one[:, 4] * one[:, 5]).argsort(descending=True)
        best = one[order[:SHOWN]]
        answers.append({"count": len(one), "boxes": best[:, :4].tolist(),
                        "scores": (best[:, 4] * best[:, 5]).tolist(), "labels": best[:, 6].int().tolist()})
    made = f"benchmarks/peers/yolox_numbers.py with pixeltable-yolox {version('pixeltable-yolox')}"
    losses = {name: float(one.detach()) for name, one in zip(("boxes", "objects", "classes"), parts, strict=True)}
    text = json.dumps({"made_by": made, "confidence": CONFIDENCE, "overlap": OVERLAP, "losses": losses,
                       "gradients": gradients, "found": answers}, indent=1)
    (ROOT / "tests" / "detectors" / "yolox_numbers.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
