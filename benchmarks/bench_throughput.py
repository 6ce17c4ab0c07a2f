"""Images per second: a plain PyTorch loop against Headstart's own paths, in one process, on the same images.

    python benchmarks/bench_throughput.py [IMAGES] [--rounds 5]

IMAGES: a folder of pictures; without it, JPEGs are made of scikit-learn's two photographs.

Plain is what a user writes first: eager float32 in NCHW, batches of 32, a DataLoader with two workers, torchvision's
transforms, BatchNorm in training mode while it trains. The rounds of extraction alternate. In training all plain
rounds come first: Headstart's learner tells the C allocator to keep its pages, which can't be taken back in a process
and would speed up plain rounds that follow. Two more plain rounds at the end show whether the machine itself drifted.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from headstart.backbones import resolve
from headstart.backbones.backbone import Backbone
from headstart.events import silent
from headstart.features import engine
from headstart.features.exported import Exported
from headstart.features.pipeline import decode_batch, in_order
from headstart.heads import LinearHead
from headstart.images import EXTENSIONS
from headstart.memory import keep_pages
from headstart.methods.finetune import Finetune
from headstart.training.network import Network
from headstart.training.plan import uses_bf16

NAME, CLASSES, BATCH = "efficientnet_lite0", 10, 32
RESULTS = Path(__file__).parent / "results" / "throughput.json"
BUSY = 1.0
"""Load from which on other programs decide the numbers: threads that wait for each other suffer most, so that the
ratio is wrong as well."""
Rates = dict[str, list[float]]


class Pictures(Dataset[torch.Tensor]):
    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def timed(work: Callable[[], object], images: int) -> float:
    start = time.perf_counter()
    work()
    return images / (time.perf_counter() - start)


def bench_extraction(backbone: Backbone, paths: list[Path], rounds: int) -> tuple[Rates, dict[str, float]]:
    preprocessing = backbone.spec.preprocessing
    backbone.eval()
    some = paths[:2 * BATCH]
    pixels = decode_batch(preprocessing, some, range(len(some)), tolerant=False).pixels
    images = preprocessing.normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())
    exported = Exported(backbone, preprocessing)
    starts = range(0, len(pixels), engine.BATCH["exported"])
    transform = v2.Compose([v2.Resize(256, interpolation=v2.InterpolationMode.BICUBIC), v2.CenterCrop(224),
                            v2.ToImage(), v2.ToDtype(torch.float32, scale=True),
                            v2.Normalize(preprocessing.mean, preprocessing.std)])

    def plain_forward() -> np.ndarray:
        with torch.no_grad():
            return torch.cat([backbone(part) for part in images.split(BATCH)]).numpy()

    def our_forward() -> np.ndarray:
        return np.concatenate(list(in_order(lambda i: exported.pooled(pixels[i:i + engine.BATCH["exported"]]), starts,
                                            threads=torch.get_num_threads())))

    def plain_whole() -> None:
        with torch.no_grad():
            for batch in DataLoader(Pictures(paths, transform), batch_size=BATCH, num_workers=2):
                backbone(batch)

    def our_whole() -> None:
        engine._exported.clear()  # the export is part of the price, every time
        engine.extract(backbone, preprocessing, paths, listen=silent)

    expected, found = plain_forward(), our_forward()
    cosine = (expected * found).sum(1) / np.linalg.norm(expected, axis=1) / np.linalg.norm(found, axis=1)
    rates: Rates = {"forward, plain": [], "forward, headstart": [], "from files, plain": [],
                    "from files, headstart": []}
    for _ in range(rounds):
        rates["forward, plain"].append(timed(plain_forward, len(some)))
        rates["forward, headstart"].append(timed(our_forward, len(some)))
    for _ in range(max(2, rounds // 2)):
        rates["from files, plain"].append(timed(plain_whole, len(paths)))
        rates["from files, headstart"].append(timed(our_whole, len(paths)))
    return rates, {"lowest_cosine": float(cosine.min()), "largest_difference": float(np.abs(expected - found).max())}


def plain_step(backbone: Backbone) -> Callable[[torch.Tensor, torch.Tensor], None]:
    model = nn.Sequential(backbone, nn.Linear(backbone.width, CLASSES)).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    preprocessing = backbone.spec.preprocessing

    def step(pixels: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(preprocessing.normalise(pixels)), labels).backward()
        optimizer.step()

    return step


def our_step(backbone: Backbone) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """The step of training/learner.py with the settings of `finetune`."""
    keep_pages()
    plan = Finetune()
    network = Network(backbone, LinearHead(backbone.width, CLASSES), plan)
    optimizer = torch.optim.AdamW(network.groups(plan))
    network.to(memory_format=torch.channels_last)
    learning = [p for group in optimizer.param_groups for p in group["params"]]
    preprocessing = backbone.spec.preprocessing

    def step(pixels: torch.Tensor, labels: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        images = preprocessing.normalise(pixels.contiguous(memory_format=torch.channels_last))
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16(plan.precision, "cpu")):
            logits = network(images).float()
        nn.functional.cross_entropy(logits, labels).backward()
        torch.nn.utils.clip_grad_norm_(learning, plan.clip_norm)
        optimizer.step()

    return step


def bench_training(rounds: int) -> Rates:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, 3, 224, 224), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)

    def rates_of(step: Callable[[torch.Tensor, torch.Tensor], None], count: int) -> list[float]:
        step(pixels, labels)
        return [timed(lambda: step(pixels, labels), BATCH) for _ in range(count)]

    plain, ours = plain_step(resolve.load(NAME)[0]), resolve.load(NAME)[0]
    rates = {"step, plain": rates_of(plain, rounds), "step, headstart": rates_of(our_step(ours), rounds)}
    rates["step, plain again after (allocator tuned)"] = rates_of(plain, 2)
    return rates


def photographs(folder: Path, count: int = 192) -> list[Path]:
    from sklearn.datasets import load_sample_images

    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        photo = load_sample_images().images[i % 2]
        top, left = rng.integers(0, 52), rng.integers(0, 140)
        paths.append(folder / f"{i:03}.jpg")
        Image.fromarray(photo[top:top + 375, left:left + 500]).save(paths[-1], quality=90)
    return paths


def cpu_name() -> str:
    found = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").exists() else []
    return found[0] if found else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        paths = (sorted(path for path in settings.images.rglob("*") if path.suffix.lower() in EXTENSIONS)
                 if settings.images else photographs(Path(folder)))
        backbone, _ = resolve.load(NAME)
        rates, agreement = bench_extraction(backbone, paths, settings.rounds)
    rates |= bench_training(settings.rounds)
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    ratios = {name: round(medians[f"{name}, headstart"] / medians[f"{name}, plain"], 2)
              for name in ("forward", "from files", "step")}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    record = {
        "command": " ".join(["python", *sys.argv]), "commit": commit,
        "date": datetime.now(UTC).isoformat("T", "minutes"),
        "hardware": {"cpu": cpu_name(), "threads": torch.get_num_threads(), "load_before": round(load_before, 1),
                     "bf16": uses_bf16("auto", "cpu")},
        "versions": {name: version(name) for name in ("torch", "onnxruntime", "timm", "pillow")},
        "images": len(paths), "backbone": NAME, "batch": BATCH, "images_per_second": medians, "ratio": ratios,
        "agreement": agreement, "rounds": {name: [round(v, 1) for v in values] for name, values in rates.items()}}
    if load_before < BUSY:
        RESULTS.write_text(json.dumps(record, indent=2) + "\n")
    else:
        print(f"the load was {load_before:.1f} before the start: these numbers are no result, and are not written",
              file=sys.stderr)
    print(json.dumps({key: record[key] for key in ("images_per_second", "ratio", "agreement")}, indent=2))


if __name__ == "__main__":
    main()
