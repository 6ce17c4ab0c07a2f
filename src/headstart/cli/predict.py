"""headstart predict: classes and calibrated probabilities of new images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from headstart.events import Listen
    from headstart.model import Model


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, or an adapter.safetensors.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path | None, typer.Option(
        help="Write here: .csv or .json by its ending; for a detector also a folder, for COCO JSON, YOLO text, CSV and "
             "drawn pictures; for a segmenter, for masks, overlays, run lengths and CSV.")] = None,
    slices: Annotated[int | None, typer.Option(
        help="For a detector: look at large pictures in overlapping parts of so many pixels. Default: as it was "
             "trained.", show_default=False)] = None,
    allow_licenses: Annotated[str | None, typer.Option(
        help="Licences, with commas, of weights that an adapter may be put on; `any` allows all. Default: permissive "
             "ones.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """Predict the class of each image, its boxes, or the class of each pixel; a broken one gets an `error`."""
    import sys

    from headstart.backbones.resolve import PERMISSIVE
    from headstart.cli.output import print_json
    from headstart.cli.terminal import terminal
    from headstart.errors import ConfigError
    from headstart.events import Note
    from headstart.part import words
    from headstart.predictions import expand
    from headstart.runs import load_model

    model = load_model(run, allow_licenses=words(allow_licenses) if allow_licenses else PERMISSIVE)
    find = {"detection": _boxes, "semantic": _masks}.get(model.task.part_name, _labels)
    if out and out.suffix not in (".csv", ".json") and (find is _labels or out.suffix):
        raise ConfigError(f"--out {out}: the ending says what is written; use .csv or .json"
                          + ("." if find is _labels else ", or none for a folder."))
    listen = terminal()
    model = model if slices is None else _in_slices(model, slices, listen)
    found = find(model, expand(paths), listen)
    broken = sum(map(bool, found.errors))
    if broken:
        listen(Note(f"{broken} of {len(found.errors)} images could not be read; each has an `error`", "warning"))
    plain = {"run": str(run), **found.plain}
    if out:
        _write(found, plain, out)
        listen(Note(f"{len(found.errors) - broken} images{found.said}, written to {out}"))
    if json:
        print_json(plain)
    elif not out:
        sys.stdout.write(found.csv)


def _in_slices(model: Model, size: int, listen: Listen) -> Model:
    from headstart.events import Note

    sliced = model.in_slices(size)
    if model.task.part_name == "detection":
        listen(Note("from which score a box is shown was chosen without these slices", "warning"))
    return sliced


@dataclass(frozen=True)
class _Found:
    """The predictions of any task, as they are written."""

    errors: list[str | None]
    """Of each image, why it could not be read."""
    said: str
    """What was found, in words that go on after the number of images."""
    plain: dict[str, Any]
    csv: str
    write: Callable[[Path], object] | None = None
    """Writes them into a folder, where the task has more to write than one file."""


def _write(found: _Found, plain: dict[str, Any], out: Path) -> None:
    from headstart.files import write_json, write_text

    if out.suffix == ".json":
        write_json(out, plain)
    elif out.suffix == ".csv":
        write_text(out, found.csv)
    elif found.write:
        found.write(out)


def _labels(model: Model, paths: list[Path], listen: Listen) -> _Found:
    from headstart.predictions import to_csv, to_json

    found = model.predict(paths, listen=listen)
    return _Found([one.error for one in found], "",
                  {"classes": list(model.classes), "predictions": to_json(found)}, to_csv(found, model.classes))


def _boxes(model: Model, paths: list[Path], listen: Listen) -> _Found:
    """Return the boxes from the thresholds of the run on."""
    from headstart.box_predictions import boxes_csv, coco_dataset, predict_boxes, shown, upright, write_boxes

    every = predict_boxes(model, paths, listen=listen)
    found = shown(model, every)
    counts = Counter(model.classes[int(label)] for one in found if one.found is not None for label in one.found.labels)
    said = ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no object reaches the score from " \
        "which its class is shown"
    return _Found([one.error for one in found], f": {said}",
                  coco_dataset(found, model.classes), boxes_csv(found, model.classes),
                  lambda folder: (write_boxes(folder, found, model.classes, formats=("coco", "csv", "yolo", "pictures"),
                                              open_picture=upright),
                                  write_boxes(folder, every, model.classes, formats=("results",))))


def _masks(model: Model, paths: list[Path], listen: Listen) -> _Found:
    """Return the class of each pixel."""
    from headstart.mask_predictions import masks_csv, masks_json, predict_masks, write_masks

    found = predict_masks(model, paths, listen=listen)
    shares = [sum(one.pixels[label] for one in found if one.pixels) for label in range(len(model.classes))]
    said = ", ".join(f"{share / max(1, sum(shares)):.1%} {name}" for share, name
                     in sorted(zip(shares, model.classes, strict=True), reverse=True) if share)
    return _Found([one.error for one in found], f": {said}" if said else "", masks_json(found, model.classes),
                  masks_csv(found, model.classes), lambda folder: write_masks(folder, found, model.classes))
