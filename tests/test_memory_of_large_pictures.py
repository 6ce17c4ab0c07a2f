"""A large picture costs the decoded picture once, as Pillow keeps it, and no second copy.

Of 27 million pixels, so that it takes seconds; `benchmarks/bench_large_pictures.py` has 12,000 x 9,000.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

WIDTH, HEIGHT = 6_000, 4_500
PILLOW = 4 * WIDTH * HEIGHT / 1024
"""kB that Pillow takes for a colour picture: 4 bytes a pixel."""
SLACK = 40_000
"""kB for 8 slices and the network's activations; an array of the whole would take 81,000."""
DETECT = """
import resource, sys
from pathlib import Path
import torch
from headstart.backbones.timm import Timm
from headstart.data.slices import Slices
from headstart.data.transforms import Preprocessing
from headstart.detecting import detect
from headstart.model import Model
from headstart.tasks.detection import Detection

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

torch.manual_seed(0)
backbone = Timm().build("timm/test_resnet", pretrained=False).eval()
model = Model.fresh(backbone, Detection(slices=Slices(size=2000, overlap=0.2)), ("a", "b"),
                    preprocessing=Preprocessing(size=64, fit="pad"))
small, large = map(Path, sys.argv[1:])
detect(model, [small])
before = peak()
found, sizes = detect(model, [large])
print(*sizes[0], len(found[0].boxes), peak() - before)
"""


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_memory_stays_within_the_decoded_picture(tmp_path: Path, ending: str) -> None:
    paths = tmp_path / "small.png", tmp_path / f"large.{ending}"
    Image.linear_gradient("L").convert("RGB").resize((2000, 2100)).save(paths[0])
    Image.linear_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB").save(
        paths[1], **({"compress_level": 1} if ending == "png" else {}))
    done = subprocess.run([sys.executable, "-c", DETECT, *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    height, width, _, kilobytes = map(int, done.stdout.split())
    assert (height, width) == (HEIGHT, WIDTH)
    assert kilobytes < PILLOW + SLACK
