"""Model card: what the model is, what it is for, and what it is made of (after Mitchell et al., FAT* 2019)."""

from __future__ import annotations

from typing import Any

from headstart.report import words
from headstart.report.reading import Record

Lines = list[tuple[str, str]]
"""(what, answer) in the order that they are shown."""


def model_card(record: Record) -> Lines:
    """Return what a person asks of a model before using it."""
    names, several = record.data.classes, record.several
    kind = "gives each image any number of these labels" if several else "puts each image into one of these classes"
    lines = [("What it does", f"It {kind}: {words.named(names, shown=20)}."),
             ("Use it for", "Images of the same kind, taken the same way, as those that it was trained on."),
             ("Don't use it for", "Images that show something else: it knows no other answer, and names "
                                  + ("labels" if several else "one of its classes") + " all the same. Nor, without "
                                  "a person who looks, where a wrong answer harms somebody.")]
    lines.append(("How it was made", _made(record)))
    return [*lines, *_thresholds(record), *_backbone(record)]


def _made(record: Record) -> str:
    told = []
    for method in record.run.methods:
        trained = "" if method.parameters_trained is None else \
            f", {words.count(method.parameters_trained)} parameters trained"
        told.append(f"{method.name} ({words.duration(method.seconds)}{trained})")
    return ", then ".join(told) or record.method


def _thresholds(record: Record) -> Lines:
    """Return from which probability on the model gives a label, if it gives several."""
    details = record.details.get(record.split)
    if details is None or details.threshold is None:
        return []
    if isinstance(details.threshold, float):
        return [("When it gives a label", f"At a probability of {details.threshold:g} or more.")]
    each = [f"{name} {value:.3f}" for name, value in zip(record.data.classes, details.threshold, strict=True)]
    return [("When it gives a label", f"From these probabilities on, which gave the best F1 on the validation images: "
                                      f"{words.named(each, shown=20)}.")]


def _backbone(record: Record) -> Lines:
    spec = record.backbone
    if spec is None:
        return []
    size = f"{words.count(spec.parameters)} parameters" if spec.parameters is not None else "size not recorded"
    work = f", {spec.gmacs:g} billion multiply-adds per image" if spec.gmacs is not None else ""
    lines = [("Pretrained network", f"{spec.architecture}{f' ({spec.family})' if spec.family else ''} from "
                                    f"{spec.source}: {size}{work}"),
             ("Licence of its weights", spec.license)]
    if spec.top1 is not None:
        lines.append(("ImageNet accuracy", f"{spec.top1:g} % (published)"))
    if spec.width is not None:
        lines.append(("Feature length", str(spec.width)))
    if spec.preprocessing:
        lines.append(("Input", _input(spec.preprocessing)))
    if spec.weights_sha256:
        lines.append(("Hash of its weights", f"sha256 {spec.weights_sha256}"))
    return lines


def _input(made: dict[str, Any]) -> str:
    size, channels = made.get("size"), made.get("channels")
    colour = {1: "grey", 3: "RGB", 4: "RGB and alpha"}.get(channels or 0, f"{channels} channels")
    fit = {"crop": f"centre cut of {made.get('crop_fraction', 1):.3g}", "squash": "squashed to a square",
           "pad": "padded to a square"}.get(str(made.get("fit")), str(made.get("fit")))
    return (f"{size} x {size} pixels, {colour}, {fit}, {made.get('interpolation')}; mean {_numbers(made.get('mean'))}, "
            f"deviation {_numbers(made.get('std'))}")


def _numbers(values: Any) -> str:
    return ", ".join(f"{value:.4g}" for value in values or ())


def surroundings(record: Record) -> Lines:
    """Return where and with what the run was made."""
    machine = record.environment
    if machine is None:
        return []
    cores = f", {machine.cores} cores" if machine.cores else ""
    memory = f", {machine.memory_gb:g} GB" if machine.memory_gb else ""
    lines = [("Started", machine.started), ("Command", machine.command), ("Git commit", machine.git_commit or ""),
             ("Machine", f"{machine.cpu}{cores}{memory}"), ("GPU", machine.gpu or "none"),
             ("System", machine.platform), ("Python", machine.python),
             ("Packages", ", ".join(f"{name} {version}" for name, version in machine.packages.items()))]
    return [(what, answer) for what, answer in lines if answer]
