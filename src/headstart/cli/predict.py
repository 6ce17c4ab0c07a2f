"""headstart predict: classes and calibrated probabilities of new images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headstart.events import Listen
    from headstart.model import Model


def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, or an adapter.safetensors.")],
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    out: Annotated[Path | None, typer.Option(help="Write here: .csv or .json by its ending; for a detector also a "
                                                  "folder, for COCO JSON, YOLO text, CSV and drawn pictures.")] = None,
    allow_licenses: Annotated[str | None, typer.Option(
        help="Licences, with commas, of weights that an adapter may be put on; `any` allows all. Default: permissive "
             "ones.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of CSV.")] = False,
) -> None:
    """Predict the class of each image, or the boxes in it; a broken one gets an `error` and does not stop the rest."""
    import sys

    from headstart.backbones.resolve import PERMISSIVE
    from headstart.cli.output import print_json
    from headstart.cli.terminal import terminal
    from headstart.errors import ConfigError
    from headstart.events import Note
    from headstart.files import write_json, write_text
    from headstart.part import words
    from headstart.predictions import expand, to_csv, to_json
    from headstart.runs import load_model

    model = load_model(run, allow_licenses=words(allow_licenses) if allow_licenses else PERMISSIVE)
    folder = "" if model.task.part_name == "detection" else ".none"
    if out and out.suffix not in (".csv", ".json", folder):
        raise ConfigError(f"--out {out}: the ending says what is written; use .csv or .json"
                          + ("." if folder else ", or none for a folder."))
    listen = terminal()
    if model.task.part_name == "detection":
        _boxes(model, run, expand(paths), out, json, listen)
        return
    predictions = model.predict(expand(paths), listen=listen)
    broken = [found for found in predictions if found.error]
    if broken:
        listen(Note(f"{len(broken)} of {len(predictions)} images could not be read; each has an `error`", "warning"))
    plain = {"run": str(run), "classes": list(model.classes), "predictions": to_json(predictions)}
    if out and out.suffix == ".json":
        write_json(out, plain)
    elif out:
        write_text(out, to_csv(predictions, model.classes))
    if json:
        print_json(plain)
    elif not out:
        sys.stdout.write(to_csv(predictions, model.classes))


def _boxes(model: Model, run: Path, paths: list[Path], out: Path | None, json: bool, listen: Listen) -> None:
    """Predict with a detector, and show the boxes from the thresholds of the run on."""
    import sys

    from headstart.box_predictions import FORMATS, boxes_csv, coco_dataset, predict_boxes, shown, upright, write_boxes
    from headstart.cli.output import print_json
    from headstart.events import Note
    from headstart.files import write_json, write_text

    found = shown(model, predict_boxes(model, paths, listen=listen))
    broken = sum(one.error is not None for one in found)
    if broken:
        listen(Note(f"{broken} of {len(found)} images could not be read; each has an `error`", "warning"))
    plain = {"run": str(run), **coco_dataset(found, model.classes)}
    if out and out.suffix == ".json":
        write_json(out, plain)
    elif out and out.suffix == ".csv":
        write_text(out, boxes_csv(found, model.classes))
    elif out:
        write_boxes(out, found, model.classes, formats=tuple(FORMATS), open_picture=upright)
    if json:
        print_json(plain)
    elif not out:
        sys.stdout.write(boxes_csv(found, model.classes))
