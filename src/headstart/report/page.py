"""Page: the run directory as one HTML file. The only door to Jinja."""

from __future__ import annotations

import shlex
from functools import cache
from pathlib import Path
from typing import Any

from headstart.files import write_text
from headstart.report import figures, forecast, summary, words
from headstart.report.confusion import confusion
from headstart.report.curves import learning_curves
from headstart.report.detection import DetectionSections, detection_sections
from headstart.report.mistakes import Pictures, most_confident, open_picture
from headstart.report.model_card import model_card, surroundings
from headstart.report.rates import rate_figures
from headstart.report.reading import Record, read
from headstart.report.records import ClassScores, Interval
from headstart.report.segmentation import SegmentationSections, segmentation_sections

FOLDER = Path(__file__).parent
MANY_CLASSES = 30
"""More classes than this are folded away, but for the worst."""
WORST = 15


def write_report(directory: Path, *, images: Pictures = open_picture) -> Path:
    """Write report.html into the run directory, at once and whole, and return its path.

    Reads the run directory and, through `images`, the pictures of the mistakes; one that is gone has a placeholder.
    A file of the run that is optional and absent leaves its section out. The same directory gives the same bytes.
    Raises IntegrityError naming the file that is missing or not what a run writes.
    """
    path = directory / "report.html"
    write_text(path, render(read(directory), images=images))
    return path


def render(record: Record, *, images: Pictures = open_picture) -> str:
    """Return the page as text."""
    return fill(FOLDER / "template.html", term=words.term, number=words.number, percent=words.percent,
                count=words.count, points=words.points, verdict=summary.verdict, shows=summary.shows,
                **_content(record, images))


def fill(template: Path, **names: Any) -> str:
    """Return the page that the template makes of these names and the common style; markup in values is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(template.parent, encoding="utf-8"), autoescape=True,
                              trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
                              bytecode_cache=_compiled())
    # Macros see these, too.
    environment.globals.update(of_metric=words.of_metric, span=words.span, **names)
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    page = environment.get_template(template.name).render(style=style)
    # A file name that is no UTF-8 holds lone surrogates, which no page can carry.
    return page.encode("utf-8", "replace").decode("utf-8")


@cache
def _compiled() -> Any:
    """Return what keeps the compiled templates: a page of a process after its first needs not compile them again."""
    from jinja2 import BytecodeCache
    from jinja2.bccache import Bucket

    class Kept(BytecodeCache):
        def __init__(self) -> None:
            self._code: dict[str, bytes] = {}

        def load_bytecode(self, bucket: Bucket) -> None:
            if bucket.key in self._code:
                bucket.bytecode_from_string(self._code[bucket.key])

        def dump_bytecode(self, bucket: Bucket) -> None:
            self._code[bucket.key] = bucket.bytecode_to_string()

    return Kept()


def _content(record: Record, images: Pictures) -> dict[str, Any]:
    """Return what the template names."""
    mistakes, wrong = most_confident(record, images)
    headline = [name for name in words.HEADLINES.get(record.data.task, ()) if name in record.proof]
    headline = [record.monitor, *(name for name in headline if name != record.monitor)]
    return {
        "record": record, "sentences": summary.sentences(record), "cards": summary.cards(record),
        "limits": summary.limits(record), "headline": headline,
        "others": [name for name in record.proof if name not in headline],
        "splits": sorted(record.metrics, key=lambda name: name != record.split), "methods": _methods(record),
        "forest": figures.forest(record.monitor, _on(record, record.monitor)),
        "curves": learning_curves(record.history, record.run.kept), "rates": rate_figures(record.rates),
        "reliability": _reliability(record),
        "curve_ahead": forecast.figure(record.forecast) if record.forecast else "",
        "curve_said": forecast.sentences(record.forecast) if record.forecast else [],
        "confusion": confusion(record), "scores": _scores(record), "many": MANY_CLASSES, "worst": WORST,
        "mistakes": mistakes, "wrong": wrong, "boxes": _boxes(record, images), "masks": _masks(record, images),
        "card": model_card(record), "surroundings": surroundings(record),
        "place": shlex.quote(record.run.name),
    }


def _boxes(record: Record, images: Pictures) -> DetectionSections | None:
    details = record.boxes.get(record.split)
    if details is None:
        return None
    table = record.predictions
    error = record.proof.get("detection_calibration_error")
    return detection_sections(
        details, None if table is None else table[table["split"] == record.split], classes=record.data.classes,
        error=error.value if error else None, root=Path(record.data.root) if record.data.root else None,
        pictures=images)


def _masks(record: Record, images: Pictures) -> SegmentationSections | None:
    details, table = record.masks.get(record.split), record.predictions
    if details is None:
        return None
    return segmentation_sections(
        details, None if table is None else table[table["split"] == record.split], classes=record.data.classes,
        root=Path(record.data.root) if record.data.root else None, pictures=images)


def _methods(record: Record) -> list[tuple[str, dict[str, Interval]]]:
    """Return every method with its metrics on the proving split, the final model last."""
    others = [(name, splits[record.split]) for name, splits in record.baselines.items() if record.split in splits]
    return [*others, (record.method, record.proof)]


def _on(record: Record, metric: str) -> list[tuple[str, Interval]]:
    return [(name, metrics[metric]) for name, metrics in _methods(record) if metric in metrics]


def _reliability(record: Record) -> list[str]:
    details = record.details.get(record.split)
    if details is None:
        return []
    shown = [("reliability-before", details.reliability_uncalibrated, "Before temperature scaling",
              "expected_calibration_error_uncalibrated"),
             ("reliability-after", details.reliability, "After temperature scaling", "expected_calibration_error")]
    found = []
    # The members of an ensemble are calibrated before their mean is taken: there is no before.
    for name, bins, heading, metric in shown if record.cross is None else shown[1:]:
        error = record.proof[metric].value if metric in record.proof else None
        found.append(figures.reliability(name, bins, heading=heading, error=error))
    return [figure for figure in found if figure]


def _scores(record: Record) -> list[tuple[str, ClassScores]]:
    """Return the classes of the proving split by F1, the best first; undefined ones last."""
    details = record.details.get(record.split)
    found = list(details.per_class.items()) if details else []
    return sorted(found, key=lambda item: (item[1].f1 is None, -(item[1].f1 or 0.0)))
