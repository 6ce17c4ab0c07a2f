"""Summary: what was found, in sentences that a person without a computer-science degree can read, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.report import words
from headstart.report.reading import Record
from headstart.report.records import Compared, Interval

SMALL_TEST = 100
"""Held-out images below which the page warns."""
SMALL_CLASS = 10
WIDE = 0.1
"""Width of an interval above which the page warns."""
MISCALIBRATED = 0.1
CARDS = ("balanced_accuracy", "f1_macro", "auroc", "ap50", "ar100", "detection_calibration_error", "mdice",
         "pixel_accuracy")
"""Metrics that get a card beside the headline, where the run has them."""
PERMISSIVE = ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "isc", "unlicense")


PLACES = {"test": "On {} held-out images",
          "target": "On {} images of the target domain, whose labels were used for this alone,"}


@dataclass(frozen=True)
class Card:
    """One key number."""

    label: str
    value: str
    exact: float | int | None
    detail: str


def sentences(record: Record) -> list[str]:
    """Return the summary, a sentence an item."""
    found = [_headline(record), _unproven(record), _baselines(record)]
    found += [verdict(difference) for difference in record.comparison
              if difference.metric == record.monitor and difference.b != "majority"]
    found += [_out_of_fold(record), _calibration(record)]
    return [sentence for sentence in found if sentence]


def _headline(record: Record) -> str:
    metric, interval = record.monitor, record.proof[record.monitor]
    place = PLACES.get(record.split, f"On the split {record.split}").format(record.tested)
    place += " of the source" if record.unproven else ""
    value, span = words.of_metric(metric, interval.value), words.span(metric, interval.low, interval.high)
    if metric == "accuracy":
        return f"{place} the model is right {value} of the time (95 % interval {span})."
    return f"{place} the model's {_inside(metric)} is {value} (95 % interval {span}): {words.term(metric).meaning}."


def _unproven(record: Record) -> str:
    if not record.unproven:
        return ""
    expected = " What to expect there is estimated below, where it says how far the target lies." if record.mismatch \
        else ""
    return (f"No label of the target is known: how good the model is on its {words.images(record.unproven)} was not "
            f"measured.{expected}")


def _inside(metric: str) -> str:
    """Return the metric's name as it stands inside a sentence."""
    label = words.term(metric).label
    return label if label.split(",")[0].isupper() else label[0].lower() + label[1:]


def _baselines(record: Record) -> str:
    metric = record.monitor
    known = [(name, splits[record.split][metric].value) for name, splits in record.baselines.items()
             if metric in splits.get(record.split, {}) and splits[record.split][metric].value is not None]
    if not known:
        return ""
    known_as = words.METHODS_OF_TASK.get(record.data.task, words.METHODS)
    told = [f"{known_as.get(name, name)}: {words.of_metric(metric, value)}" for name, value in known]
    return f"For comparison, on the same images: {'; '.join(told)}."


def verdict(found: Compared) -> str:
    """Return in words what a paired difference shows."""
    gap = found.difference
    a, b = found.a, found.b
    if gap.value is None or gap.low is None or gap.high is None:
        return f"Whether {a} is better than {b} could not be measured."
    term = words.term(found.metric)
    unit = "points" if term.percent else f"in {_inside(found.metric)}"
    size = words.points(found.metric, abs(gap.value)).lstrip("+")
    span = f"interval {words.points(found.metric, gap.low)} to {words.points(found.metric, gap.high)}"
    if shows(found) == "open":
        order = "equal to" if gap.value == 0 else "ahead of" if _better(found) else "behind"
        by = "" if gap.value == 0 else f" by {size} {unit}"
        return f"{a} is {order} {b}{by} ({span}): no difference is shown."
    order = "better" if _better(found) else "worse"
    return f"{a} is {order} than {b} by {size} {unit} ({span})."


def _better(found: Compared) -> bool:
    return ((found.difference.value or 0) > 0) == words.term(found.metric).higher_is_better


def shows(found: Compared) -> str:
    """Return `better`, `worse` or `open`, for the colour of the line."""
    gap = found.difference
    if gap.low is None or gap.high is None or gap.low <= 0 <= gap.high:
        return "open"
    # The comparison may ask for more than the interval (McNemar's test): what it left open stays open.
    if found.verdict and found.verdict not in ("better", "worse"):
        return "open"
    return "better" if _better(found) else "worse"


def _out_of_fold(record: Record) -> str:
    metric, cross = record.monitor, record.cross
    if record.folds is None or cross is None or metric not in cross.out_of_fold:
        return ""
    found = cross.out_of_fold[metric]
    return (f"In cross-validation, where each of {record.folds.images} other images was answered by a model that did "
            f"not see it, the {_inside(metric)} is {words.of_metric(metric, found.value)} "
            f"({words.span(metric, found.low, found.high)}).")


def _calibration(record: Record) -> str:
    error = record.proof.get("expected_calibration_error")
    if error is None or error.value is None:
        return ""
    return (f"Its stated confidence is off by {words.number(100 * error.value, 1)} points on average "
            "(calibration error).")


def cards(record: Record) -> list[Card]:
    """Return the key numbers."""
    names = [record.monitor, *(name for name in (*CARDS, "expected_calibration_error")
                               if name in record.proof and name != record.monitor)]
    found = [_card(name, record.proof[name]) for name in names[:4]]
    counts = record.data.splits
    trained = counts["train"].count if "train" in counts else None
    tested = "Target images" if record.split == "target" else "Held-out images"
    found.append(Card(tested, words.count(record.tested), record.tested,
                      f"{words.count(trained)} to train on" if trained is not None else ""))
    seconds = record.run.seconds
    found.append(Card("Time", words.duration(seconds), seconds, _machine(record)))
    return found


def _card(name: str, interval: Interval) -> Card:
    span = words.span(name, interval.low, interval.high)
    detail = "undefined on these images" if interval.value is None else f"95 % interval {span}"
    return Card(words.term(name).label, words.of_metric(name, interval.value), interval.value, detail)


def _machine(record: Record) -> str:
    machine = record.environment
    if machine is None:
        return ""
    return machine.gpu or (f"{machine.cores} CPU cores" if machine.cores else "")


def limits(record: Record) -> list[str]:
    """Return what a reader must know before trusting the numbers, the gravest first."""
    return [*_about_run(record), *_about_test(record), *_about_baselines(record), *_about_data(record),
            *_about_model(record),
            "The numbers hold for images that were taken like the held-out ones. Another camera, site or season can "
            "be worse: measure it with `headstart evaluate` on labelled images from there."]


def _about_run(record: Record) -> list[str]:
    found = []
    if record.run.status in ("interrupted", "failed"):
        found.append(f"The run was {record.run.status} before its end.")
    # The check of the data says its own warnings below.
    texts = {finding.text for finding in record.data.check}
    found += [note.text for note in record.run.notes if note.level in ("warning", "error") and not any(
        text and text in note.text for text in texts)]
    return found


def _about_test(record: Record) -> list[str]:
    found = []
    if 0 < record.tested < SMALL_TEST:
        found.append(f"The held-out set is small ({record.tested} images): {_moved(record)}.")
    metric = record.proof[record.monitor]
    if metric.low is not None and metric.high is not None and metric.high - metric.low > WIDE:
        found.append(f"The interval of the {words.term(record.monitor).label.lower()} is wide "
                     f"({words.span(record.monitor, metric.low, metric.high)}): more held-out images would narrow it.")
    per_class = record.data.splits[record.split].per_class if record.split in record.data.splits else {}
    few = [name for name in record.data.classes if per_class.get(name, 0) < SMALL_CLASS]
    if few:
        which = "class has" if len(few) == 1 else "classes have"
        found.append(f"{len(few)} {which} fewer than {SMALL_CLASS} held-out images ({words.named(few)}): what is said "
                     "of a single one of them is rough.")
    undefined = [words.term(name).label for name, m in record.proof.items() if m.value is None]
    if undefined:
        found.append(f"Undefined on these images, and shown as {words.DASH}: {words.named(undefined)}.")
    error = record.proof.get("expected_calibration_error")
    if error and error.value is not None and error.value > MISCALIBRATED:
        found.append(f"Confidence is off by {words.number(100 * error.value, 1)} points on average: don't read the "
                     "probabilities as chances.")
    return found


def _moved(record: Record) -> str:
    if record.whole:
        return f"a few {'objects' if record.boxes else 'images'} more or less change the numbers"
    return f"one image more or less right moves the accuracy by {words.number(100 / record.tested, 1)} points"


def _about_baselines(record: Record) -> list[str]:
    return [f"{found.a} did worse than {found.b}: use {found.b}." for found in record.comparison
            if found.metric == record.monitor and shows(found) == "worse"]


def _about_data(record: Record) -> list[str]:
    found = [f"{finding.text} {finding.advice}".strip() for finding in record.data.check
             if finding.level in ("warning", "error")]
    if record.samples is not None and record.samples["group"].isna().all():
        found.append("No groups are known (patient, plant, site, burst of frames). If several images show the same "
                     "thing, some may be in training and in the held-out set, and the numbers flatter; "
                     "`--group-by` keeps them together.")
    return found


def _about_model(record: Record) -> list[str]:
    if record.backbone is None:
        return []
    licence = record.backbone.license.lower()
    if licence in ("", "unknown"):
        return ["The licence of the pretrained weights is unknown: ask their authors before you pass the model on."]
    if licence not in PERMISSIVE:
        return [f"The pretrained weights are under {record.backbone.license}: read what it allows before you use or "
                "pass on the model."]
    return []
