"""Run directories as `headstart adapt` writes them, made of really computed predictions of handwritten digits."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

from headstart.files import sha256_file, write_json
from headstart.report.page import write_report
from tests.report import measured

TRAIN, VAL, TEST = slice(0, 1000), slice(1000, 1300), slice(1300, 1700)
TEMPERATURE = 0.8
DIGITS = [f"digit {i}" for i in range(10)]
JOB = "data: digits/\nbackbone: pixels\nmethod:\n- method: finetune\n  epochs: {epochs}\nseed: 0\n"


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures in 0..1 [N, 64] and their digit."""
    images, labels = load_digits(return_X_y=True)
    return images / 16, labels


def shades() -> np.ndarray:
    """Return int [N], one of 60: the digit, and which sixth of all pictures it belongs to by its ink."""
    pixels, digit = digits()
    return digit * 6 + pixels.mean(1).argsort().argsort() * 6 // len(pixels)


def train(hot: np.ndarray, *, epochs: int, rows: int = 1000) -> tuple[np.ndarray, list[dict]]:
    """Return logits [N, C] of one logistic regression per class, and the history of its training."""
    pixels, _ = digits()
    models = [SGDClassifier(loss="log_loss", alpha=1e-4, random_state=0) for _ in range(hot.shape[1])]
    history = []
    logits = np.zeros(hot.shape)
    for epoch in range(epochs):
        for i, model in enumerate(models):
            model.partial_fit(pixels[:rows], hot[:rows, i], classes=[False, True])
            logits[:, i] = model.decision_function(pixels) / 4
        row = {"method": "finetune", "epoch": epoch, "step": 32 * (epoch + 1)}
        for name, part in (("train", TRAIN), ("val", VAL)):
            p = np.clip(measured.sigmoid(logits[part]), 1e-7, 1 - 1e-7)
            row[f"{name}_loss"] = float(-np.where(hot[part], np.log(p), np.log(1 - p)).mean())
            row[f"{name}_accuracy"] = float((logits[part].argmax(1) == hot[part].argmax(1)).mean())
        history.append({**row, "lr_head": 0.01, "seconds": 0.2})
    return logits, history


def write_run(folder: Path, *, classes: list[str] = DIGITS, labels: np.ndarray | None = None, epochs: int = 8,
              method: str = "finetune", history: bool = True, kept: int = 4) -> Path:
    """Write a run directory. labels: int [N] classes or bool [N, C] labels of the digits; None takes the digits."""
    labels = digits()[1] if labels is None else labels
    several = labels.ndim == 2
    hot = labels.astype(bool) if several else np.eye(len(classes), dtype=bool)[labels]
    logits, rows = train(hot, epochs=epochs)
    weaker, _ = train(hot, epochs=1, rows=60)
    frequent = np.tile(np.log(hot[TRAIN].mean(0) + 0.001), (len(hot), 1)) + np.arange(len(classes)) * 1e-6
    link, measure = (measured.sigmoid, measured.several) if several else (measured.softmax, measured.single)
    monitor = "average_precision" if several else "accuracy"

    def metrics(z: np.ndarray, temperature: float = 1.0) -> dict:
        return {name: measured.with_intervals(measure, labels[part], link(z[part] / temperature))
                for name, part in (("val", VAL), ("test", TEST))}

    folder.mkdir(parents=True)
    found = metrics(logits, TEMPERATURE)
    write_json(folder / "metrics.json", found)
    write_json(folder / "baselines.json", {"majority": metrics(frequent), "scratch": metrics(weaker)})
    write_json(folder / "comparison.json", [
        {"a": method, "b": name, **measured.difference(monitor, labels[TEST], link(logits[TEST]), link(z[TEST]))}
        for name, z in (("majority", frequent), ("scratch", weaker))])
    write_json(folder / "details.json", {name: details(classes, hot[part], logits[part], several=several)
                                         for name, part in (("val", VAL), ("test", TEST))})
    write_json(folder / "watch.json", {method: {
        "verdict": "healthy", "text": f"train and validation agree: {monitor} 0.97 against 0.96.",
        "numbers": {"gap": 0.01}, "advice": ["Train longer: validation was still getting better."]}})
    if history:
        pd.DataFrame(rows).assign(method=method).to_csv(folder / "history.csv", index=False)
    write_images(folder, hot, logits, link, several=several)
    write_records(folder, classes, hot, several=several, method=method, found=found, epochs=epochs,
                  kept=kept)
    return folder


def details(classes: list[str], hot: np.ndarray, logits: np.ndarray, *, several: bool) -> dict:
    link = measured.sigmoid if several else measured.softmax
    found = {}
    for name, temperature in (("reliability", TEMPERATURE), ("reliability_uncalibrated", 1.0)):
        p = link(logits / temperature)
        right = ((p >= 0.5) == hot).ravel() if several else p.argmax(1) == hot.argmax(1)
        sure = np.maximum(p, 1 - p).ravel() if several else p.max(1)
        found[name] = {"bins": measured.calibration(right, sure)[0]}
    p = link(logits / TEMPERATURE)
    said = p >= 0.5 if several else np.eye(len(classes), dtype=bool)[p.argmax(1)]
    found |= {"per_class": measured.per_class(classes, hot, said, p), "temperature": TEMPERATURE}
    if not several:
        matrix = np.zeros((len(classes), len(classes)), int)
        np.add.at(matrix, (hot.argmax(1), p.argmax(1)), 1)
        found["confusion"] = matrix.tolist()
    return found


def write_images(folder: Path, hot: np.ndarray, logits: np.ndarray, link, *, several: bool) -> None:
    """Write predictions.parquet, samples.parquet, and the pictures of the wrong answers."""
    pixels, _ = digits()
    predictions, samples = [], []
    for split, part in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        for row in range(part.start, part.stop):
            p = link(logits[row:row + 1] / TEMPERATURE)[0]
            true = np.flatnonzero(hot[row]).tolist()
            said = np.flatnonzero(p >= 0.5).tolist() if several else [int(p.argmax())]
            path = folder.parent / f"{folder.name}-pictures" / f"{row:04d}.png"
            if true != said and split == "test":
                path.parent.mkdir(exist_ok=True)
                grey = Image.fromarray((pixels[row].reshape(8, 8) * 255).astype(np.uint8))
                grey.resize((200, 180)).save(path)
            common = {"id": f"{row:04d}.png", "path": str(path), "split": split,
                      "label": true if several else true[0]}
            samples.append({**common, "group": None, "weight": 1.0, "sha256": "0" * 64})
            if split != "train":
                predictions.append({**common, "predicted": said if several else said[0],
                                    "confidence": float(p.max()), "probabilities": p.tolist(),
                                    "logits": logits[row].tolist()})
    pd.DataFrame(predictions).to_parquet(folder / "predictions.parquet", index=False)
    pd.DataFrame(samples).to_parquet(folder / "samples.parquet", index=False)


def write_records(folder: Path, classes: list[str], hot: np.ndarray, *, several: bool, method: str, found: dict,
                  epochs: int, kept: int) -> None:
    """Write what the run says of its data, network, machine and itself."""
    splits = {name: {"count": part.stop - part.start,
                     "per_class": dict(zip(classes, hot[part].sum(0).tolist(), strict=True))}
              for name, part in (("train", TRAIN), ("val", VAL), ("test", TEST))}
    write_json(folder / "data.json", {
        "schema": 1, "fingerprint": "5d" * 32, "root": "digits", "format": "class_folders",
        "task": "multilabel" if several else "classification", "classes": classes,
        "notes": [f"format: class folders, {len(classes)} classes", "split: stratified, 1000 / 300 / 400"],
        "ignored": [".DS_Store (hidden)"], "splits": splits,
        "check": [{"kind": "corrupt", "level": "ok", "text": "Every image can be read.", "items": [], "count": 0,
                   "advice": ""},
                  {"kind": "leak_near", "level": "warning", "text": "3 pairs of images look the same across splits.",
                   "items": ["a, b"], "count": 3, "advice": "Use --group-by duplicates."}]})
    write_json(folder / "backbone.json", {
        "architecture": "efficientnet_lite0", "source": "packaged", "family": "EfficientNet", "license": "apache-2.0",
        "parameters": 3371024, "gmacs": 0.4, "top1": 75.5, "availability": "here", "hint": "", "width": 1280,
        "weights_sha256": "ab" * 32, "preprocessing": {
            "size": 224, "channels": 3, "fit": "crop", "crop_fraction": 0.875, "interpolation": "bicubic",
            "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "background": 255}})
    write_json(folder / "environment.json", {
        "started": "2026-01-02T03:04:05+00:00", "command": "headstart adapt digits/ --method finetune",
        "python": "3.11.7", "platform": "Linux-6.1-x86_64", "cpu": "AMD EPYC", "cores": 2, "threads": 2,
        "memory_gb": 24.0, "gpu": None, "packages": {"torch": "2.15.0", "timm": "1.0.27"}, "git_commit": "c0ffee1"})
    write_json(folder / "run.json", {
        "schema": 1, "name": folder.name, "status": "running", "pid": 1, "seconds": 83.25, "data": "digits/",
        "method": method, "methods": [{"name": "probe", "seconds": 4.5, "parameters_trained": 12810},
                                      {"name": method, "seconds": 61.0, "parameters_trained": 3383834}],
        "headline": found["test"], "kept": {method: kept},
        "notes": [{"level": "warning", "text": "near the limit of memory"}]})
    (folder / "job.yaml").write_text(JOB.format(epochs=epochs), encoding="utf-8")
    write_json(folder / "manifest.json", {path.name: sha256_file(path) for path in sorted(folder.iterdir())})


HOSTILE = ["<script>alert('a')</script>", "rose & \"thorn\"", "🦋 moth", "{{ 7 * 7 }}", "ümläut/'x'", "a" * 60,
           "</style><b>", "no", "0123", "null"]


def traits() -> np.ndarray:
    """Return bool [N, 4]: what can be said of each digit."""
    _, digit = digits()
    return np.stack([digit % 2 == 0, np.isin(digit, [2, 3, 5, 7]), np.isin(digit, [0, 6, 8, 9]), digit > 4], axis=1)


KINDS = {
    "ten": {"epochs": 6},
    "two": {"classes": ["small digits", "large digits"], "labels": "halves", "epochs": 12},
    "sixty": {"classes": [f"digit {i // 6} of ink {i % 6}" for i in range(60)], "labels": "shades", "epochs": 3},
    "several": {"classes": ["even", "prime", "with a loop", "above four"], "labels": "traits", "epochs": 6},
    "probe": {"method": "probe", "history": False, "epochs": 4},
    "hostile": {"classes": HOSTILE, "epochs": 2},
}


def build(kind: str, folder: Path) -> Path:
    """Write the run directory of one of KINDS, and its report."""
    made = {"halves": lambda: (digits()[1] > 4).astype(int), "shades": shades, "traits": traits}
    settings = dict(KINDS[kind])
    if "labels" in settings:
        settings["labels"] = made[settings["labels"]]()
    write_run(folder, **settings)
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory):
    """Return a call from a kind to its run directory with its report; each is made once."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def get(kind: str) -> Path:
        return build(kind, folder / kind)
    return get


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
