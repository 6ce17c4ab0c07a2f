"""Another domain: every method that adapts to a target without labels, beside source-only and the supervised bound.

    python benchmarks/bench_domains.py [--suites office,digits] [--seeds 0,1,2] [--methods mcc,shot] [--budget 3600]
    python benchmarks/bench_domains.py --table                       write the tables into docs/benchmarks.md

No label of a target is seen in training, selection or the guard: `headstart.target` strips them, here as in a run. The
guard is off while measuring, and applied afterwards from the validators' recorded scores, so that one sees what it is
worth. Results are appended to results/domains/SUITE.jsonl. The emoji want --emoji FOLDER, see domain_pairs/sets.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domain_pairs import sets
from domain_pairs.lenet import LeNet
from domain_pairs.sets import SHARES, SUITES, DomainPair
from side_by_side.measure import commit
from side_by_side.results import append_row, put_table, read_rows

from headstart.alignments.alignment import ALIGNMENTS
from headstart.backbones.resolve import load
from headstart.data.dataset import Dataset, Splits
from headstart.data.splits import split
from headstart.distances.distance import DISTANCES
from headstart.domains.judging import answered, evidence_of, verdicts
from headstart.domains.shares import ways_back
from headstart.domains.target_method import TargetMethod
from headstart.evaluation.calibration import fit_temperature
from headstart.events import silent
from headstart.expected_accuracy import expected_accuracy
from headstart.features.store import FeatureStore
from headstart.files import cache_folder
from headstart.job import METHODS
from headstart.labelled import beside
from headstart.methods.align import Align
from headstart.methods.finetune import Finetune
from headstart.methods.method import Context, Method
from headstart.model import Model
from headstart.tasks.classification import Classification

RESULTS = Path(__file__).parent / "results" / "domains"
START, END = "<!-- domains table -->\n", "<!-- end of the domains table -->\n"
BACKBONE = "efficientnet_lite0"
FEATURES = ("coral", "subspace", "tca", "transport", "propagation", "prototypes", "t3a", "label_shift")
SOURCE_FREE = ("adabn", "tent", "eata", "shot")
FEW = ("transfer", "labelled_alone", "joint", "joint_transfer")
"""Without the labelled images of the target; a probe of them alone; of both domains, and `transfer` from there."""
WANTED = {"digits": (*FEATURES, *SOURCE_FREE, *ALIGNMENTS.names()), "office": (*FEATURES, "transfer"),
          "emoji": (*FEATURES, "transfer"), "office_few": FEW, "emoji_few": FEW,
          "corruptions": (*FEATURES, *SOURCE_FREE),
          **{f"{name}_{shares}": ("transfer",) for name in ("office", "emoji") for shares in SHARES}}
FIRST = {"tent": "adabn", "eata": "adabn"}
"""What goes in front of a method that keeps the head."""
DIGIT_PLAN: dict[str, Any] = {"epochs": 8, "batch_size": 64, "lr_head": 1e-3, "lr_backbone": 1e-3,
                              "batch_norm": "train", "augment": "light"}
ADDA_PLAN = {**DIGIT_PLAN, "lr_head": 5e-4, "lr_backbone": 5e-5}
"""Nothing but its discriminator holds ADDA's encoder: at the others' rate it runs away."""
SOURCE_PLAN = {**DIGIT_PLAN, "lr_head": 2e-3, "lr_backbone": 2e-3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--methods", default="")
    parser.add_argument("--pairs", default="", help="such as mnist-usps")
    parser.add_argument("--emoji", type=Path, default=sets.EMOJI)
    parser.add_argument("--budget", type=float, default=3600, metavar="SECONDS")
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if words.table:
        from domain_pairs.tables import tables

        put_table(tables([row for suite in SUITES for row in read_rows(results(suite))]), start=START, end=END)
        return
    sets.EMOJI = words.emoji
    torch.set_num_threads(1)
    deadline = time.monotonic() + words.budget
    for seed in map(int, words.seeds.split(",")):
        for suite in words.suites.split(","):
            for pair in SUITES[suite][1]:
                if words.pairs and "-".join(pair) not in words.pairs.split(","):
                    continue
                names = words.methods.split(",") if words.methods else WANTED[suite]
                measure(suite, pair, seed, names, deadline)


def results(suite: str) -> Path:
    """Return the file of a suite's rows."""
    return RESULTS / f"{suite}.jsonl"


def measure(suite: str, pair: tuple[str, str], seed: int, names: tuple[str, ...] | list[str], deadline: float) -> None:
    """Append the rows of a pair that are missing: source-only and supervised first, then each method."""
    done = {row["method"] for row in read_rows(results(suite))
            if (row["source"], row["target"], row["seed"]) == (*pair, seed)}
    missing = [name for name in dict.fromkeys(("source_only", "supervised", "mismatch", *names)) if name not in done]
    if not missing or time.monotonic() > deadline:
        return
    domains = SUITES[suite][0](*pair)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(suite, domains, seed, Path(folder))
        for name in missing:
            if time.monotonic() > deadline:
                return
            found = bench.mismatch() if name == "mismatch" else bench.row(name)
            row = {"suite": suite, "source": pair[0], "target": pair[1], "method": name, "seed": seed, **found,
                   "commit": commit()}
            append_row(results(suite), row)
            print(suite, *pair, name, seed, f"{row['accuracy']:.4f} ({row['seconds']:.0f} s)", flush=True)


class Bench:
    """A pair of domains with the model that knows the source alone."""

    def __init__(self, suite: str, domains: DomainPair, seed: int, folder: Path) -> None:
        self.suite, self.domains, self.seed, self.folder = suite, domains, seed, folder
        self.trained = domains.source.classes == sets.DIGITS
        parts = split(bare(domains.source), seed=seed, val=0.1 if self.trained else 0.2, test=0.01)
        self.splits = dataclasses.replace(parts, target=bare(domains.target, label=None))
        self._start: Model | None = None

    def context(self) -> Context:
        workspace = Path(tempfile.mkdtemp(dir=self.folder))
        return Context(listen=silent, seed=self.seed, workspace=workspace,
                       features=FeatureStore(cache_folder() / "features", images=20_000))

    def start(self) -> Model:
        """Return the model of the source alone."""
        if self._start is None:
            self._start = self.fitted(self.splits)
        return self._start

    def fitted(self, splits: Splits) -> Model:
        """Return a model of labelled images: a probe on the packaged backbone, for digits a small network."""
        if self.trained:
            torch.manual_seed(self.seed)
            backbone = LeNet().eval()
            start = Model.fresh(backbone, Classification(), splits.train.classes,
                                preprocessing=backbone.spec.preprocessing)
            return Finetune(**SOURCE_PLAN).fit(start, splits, self.context())
        backbone, _ = load(BACKBONE)
        start = Model.fresh(backbone, Classification(), splits.train.classes,
                            preprocessing=backbone.spec.preprocessing)
        return METHODS.get("probe")().fit(start, splits, self.context())

    def few(self, name: str, context: Context) -> Model:
        """Return a model that learns from the labelled images of the target, alone or beside the source's."""
        assert self.domains.labelled is not None
        labelled, _ = beside(self.splits.train, bare(self.domains.labelled), 0.5)
        splits = dataclasses.replace(self.splits, labelled=labelled)
        if name == "labelled_alone":
            return self.fitted(dataclasses.replace(splits, train=labelled))
        start = self.fitted(splits.joint())
        return start if name == "joint" else self.method("transfer").fit(start, splits.joint(), context)

    def made(self, name: str, start: Model, context: Context) -> Model:
        """Return what a method makes of a model, unjudged but where judging is what it does."""
        method = self.method(name)
        return (method.adapted if isinstance(method, TargetMethod) else method.fit)(start, self.splits, context)

    def method(self, name: str) -> Method:
        plan = DIGIT_PLAN if self.trained else {}
        if name in METHODS.names():
            part = METHODS.get(name)
            if name == "transfer":
                return part.parse({"train": "none"})  # the quick methods alone
            own = {"adabn": {"head": "kept"} if self.trained else {}, "shot": plan, "align": plan}.get(name, {})
            return part.parse(own)
        return Align.parse({"alignments": name, **(ADDA_PLAN if plan and name == "adda" else plan)})

    def row(self, name: str) -> dict[str, Any]:
        """Return what is measured of one method."""
        start, proof = None if name == "supervised" else self.start(), self.domains.proof
        began, clock = time.process_time(), time.perf_counter()
        context = self.context()
        if start is None:
            model, proof = self.supervised()
        elif name == "source_only":
            model = start
        elif name in FEW[1:]:
            model = self.few(name, context)
        else:
            first = self.made(FIRST[name], start, context) if name in FIRST else start
            model = self.made(name, first, context)
        seconds, cpu = time.perf_counter() - clock, time.process_time() - began
        moved = start is None or model.backbone is not start.backbone
        seen = evidence_of(self.start(), self.splits, context)
        scores = {} if start is None else verdicts(answered(seen, start, model, self.splits, context))
        # eight digits decide the same, and twelve scores a row are most of a file
        return {"accuracy": self.accuracy(model, proof, moved=moved), "images": len(proof),
                "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
                "scores": {key: None if math.isnan(value) else float(f"{value:.8g}") for key, value in scores.items()}}

    def accuracy(self, model: Model, part: Dataset, *, moved: bool) -> float:
        """Return the share of images that a model is right on. moved: whether its backbone is not the start's."""
        logits = (model.logits([sample.source for sample in part.samples]) if moved or self.trained
                  else model.logits_of(self.context().vectors(model, part)))
        return float((logits.argmax(axis=1) == part.labels()).mean())

    def supervised(self) -> tuple[Model, Dataset]:
        """Return a model of the target's labels, and the images that prove it: where there are no others, the half of
        the target that it did not see."""
        target, proof = self.domains.target, self.domains.proof
        parts = split(bare(target), seed=self.seed, val=0.1, test=0.5 if proof is target else 0.01)
        return self.fitted(parts), parts.test if proof is target else proof

    def mismatch(self) -> dict[str, Any]:
        """Return how far the domains lie apart, and what accuracy was to be expected of the source's model."""
        model, context, began = self.start(), self.context(), time.perf_counter()
        seen = evidence_of(model, self.splits, context)
        rng = np.random.default_rng(self.seed)
        apart = {name: part()(seen.train_features, seen.target_features, rng=rng).value
                 for name, part in DISTANCES.all().items()}
        temperature = fit_temperature(seen.source_logits, seen.source_labels, model.answers)
        known, asked = (model.answers.probabilities(logits, temperature)
                        for logits in (seen.source_logits, seen.target_logits))
        plain, weighted = ways_back(seen, *seen.source())
        expected = expected_accuracy(known, seen.source_labels, asked, rng=rng, way_back=plain,
                                     weighted_way_back=weighted)
        on_source = float((seen.source_logits.argmax(axis=1) == seen.source_labels).mean())
        right = self.accuracy(model, self.domains.proof, moved=False)
        return {"accuracy": right, "source_accuracy": on_source, "distances": apart,
                "expected": dataclasses.asdict(expected), "scores": {}, "images": len(self.domains.proof),
                "seconds": round(time.perf_counter() - began, 2)}


def bare(part: Dataset, **changes: Any) -> Dataset:
    """Return the images without the splits and groups that they came with; with label=None, as a run gives a target."""
    return dataclasses.replace(part, samples=tuple(
        dataclasses.replace(sample, split=None, group=None, **changes) for sample in part.samples))


if __name__ == "__main__":
    main()
