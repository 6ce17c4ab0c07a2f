"""Memory and time of looking at one large picture in slices, with a detector of random weights.

    python benchmarks/bench_large_pictures.py [--width 12000] [--height 9000] [--size 640] [--input 320]

A process for each format of file: its highest resident memory before and after the picture. What one decoded picture
takes in Pillow, 4 bytes a pixel, is the measure. Nothing is written but a temporary picture.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

LOOK = """
import json, resource, sys, time
from pathlib import Path
import torch
from headstart.backbones.packaged import Packaged
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.detecting import detect
from headstart.model import Model
from headstart.tasks.detection import Detection

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

size, side, merge = int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.manual_seed(0)
backbone = Packaged().build("efficientnet_lite0", pretrained=False).eval()
model = Model.fresh(backbone, Detection(slices=Slices(size=size, merge=merge)), ("a", "b"),
                    preprocessing=Preprocessing(size=side, fit="pad"))
detect(model, [Path(sys.argv[1])])
before, began = peak(), time.perf_counter()
found, sizes = detect(model, [Path(sys.argv[2])])
print(json.dumps({"slices": len(model.task.slices.windows(sizes[0])), "boxes": len(found[0].boxes),
                  "seconds": round(time.perf_counter() - began, 1), "before_mb": round(before),
                  "more_mb": round(peak() - before)}))
"""


def main() -> None:
    """Print a line of JSON for each format and way of merging."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("width", 12_000), ("height", 9_000), ("size", 640), ("input", 320)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--formats", nargs="+", default=["jpg", "png", "tiff"])
    options.add_argument("--merges", nargs="+", default=["nms", "wbf"])
    given = options.parse_args()
    pillow = round(4 * given.width * given.height / 2**20)
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.png"
        gradient = Image.linear_gradient("L")
        gradient.convert("RGB").resize((given.size * 3, given.size * 3)).save(small)
        for ending in given.formats:
            large = Path(folder) / f"large.{ending}"
            began = time.perf_counter()
            gradient.resize((given.width, given.height)).convert("RGB").save(large)
            print(f"{large.name}: written in {time.perf_counter() - began:.1f} s", file=sys.stderr)
            for merge in given.merges:
                done = subprocess.run([sys.executable, "-c", LOOK, str(small), str(large), str(given.size),
                                       str(given.input), merge], capture_output=True, text=True, check=True)
                print(json.dumps({"format": ending, "merge": merge, "pillow_mb": pillow} | json.loads(done.stdout)))


if __name__ == "__main__":
    main()
