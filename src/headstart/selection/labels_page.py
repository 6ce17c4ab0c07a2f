"""Labels page: the likely wrong labels with their pictures, the most suspicious first, and which class is which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from headstart.data.dataset import Dataset
from headstart.report import words
from headstart.selection.label_errors import PAGE, TABLE, Confusion, LabelError, LabelErrors
from headstart.selection.page import Page, Picture, Section, small, write_page
from headstart.selection.ranking import few
from headstart.types import ImageSource

SHOWN = 200
"""Pictures on the page at most; the table has every image."""
SKILL = 0.5
"""Share of the way from the most frequent answer to full agreement, below which the probe's doubts say little."""
SUSPICIONS = "These are suspicions, not verdicts: look at each picture."
COLUMNS = ("Given", "Suggested", "Likely errors", "Of images", "Share")


def write_labels_page(found: LabelErrors, data: Dataset, directory: Path) -> None:
    """Write labels.html into `directory`, with the pictures of the data."""
    made = f"{found.images} images · {len(found.classes)} classes · {found.backbone} · {found.data}"
    parts = []
    if found.pairs:
        parts.append(Section("Which class is taken for which", columns=COLUMNS, numbers=range(2, len(COLUMNS)),
                             rows=[row(pair) for pair in found.pairs]))
    if found.errors:
        sources = {sample.id: sample.source for sample in data.samples}
        note = "The most suspicious first. The percentages are what a linear probe says that was fitted without the " \
               "image."
        if len(found.errors) > SHOWN:
            note += f" These are the first {SHOWN} of {len(found.errors)}; {TABLE} has all."
        parts.append(Section("Likely wrong labels", note,
                             pictures=[_picture(error, sources[error.image]) for error in found.errors[:SHOWN]]))
    write_page(directory / PAGE, Page("Headstart labels", directory.name, made, sentences(found), parts))


def sentences(found: LabelErrors) -> list[str]:
    """Return what was found, in words: what speaks against believing it, then the answer."""
    lead = [text for text in (caution(found),) if text]
    if not found.errors:
        return [*lead, counted(found), agreement(found)]
    listed = [confused(pair) for pair in found.pairs[:3]]
    return [*lead, counted(found),
            "; ".join(listed) + ("; and others (see the table)." if len(found.pairs) > 3 else "."), agreement(found),
            f"{SUSPICIONS} Then correct the labels in {TABLE}, beside this page; your own files are untouched."]


def caution(found: LabelErrors) -> str:
    """Return why these suspicions are worth little, in words; nothing where they are worth something."""
    why = []
    if found.baseline is not None and found.accuracy - found.baseline < SKILL * (1 - found.baseline):
        why.append(f"the probe agrees with {words.percent(found.accuracy)} of the labels, where the most frequent "
                   f"answer alone agrees with {words.percent(found.baseline)}")
    if few(found.images, len(found.classes)):
        why.append(f"{found.images} images of {len(found.classes)} classes are few to learn from")
    meaning = "Most of what is doubted may well be right." if found.errors else "Wrong labels may go unseen."
    return f"Little to go by: {'; and '.join(why)}. {meaning}" if why else ""


def counted(found: LabelErrors) -> str:
    """Return how many labels are suspicious, in words no stronger than what they rest on."""
    if not found.errors:
        return f"No label of the {found.images} images is likely wrong, as far as the features of {found.backbone} " \
               "tell."
    many = f"{len(found.errors)} of {found.images} images ({words.percent(found.share)})"
    return f"{many} have a label that is doubted." if caution(found) else f"{many} likely have a wrong label."


def agreement(found: LabelErrors) -> str:
    """Return how often the probe agrees with the labels, and what that means."""
    known = f"A linear probe on the features of {found.backbone} agrees with {words.percent(found.accuracy)} of the " \
            "labels that it did not see."
    return f"{known} " + ("The fewer it agrees with, the more of what it doubts is right after all." if found.errors
                          else "Where it agrees with few, it can't find errors either: try another --backbone.")


def confused(pair: Confusion) -> str:
    """Return which class is taken for which, in words."""
    return f"{pair.errors} of the {pair.images} images labelled {pair.given} look like {pair.suggested}"


def row(pair: Confusion) -> list[str]:
    """Return the cells of one pair of classes."""
    return [pair.given, pair.suggested, str(pair.errors), str(pair.images), words.percent(pair.errors / pair.images)]


def shown(names: Sequence[str]) -> str:
    """Return class names in one text; a dash for none."""
    return ", ".join(names) or words.DASH


def likely(error: LabelError, names: Sequence[str], probability: str) -> str:
    """Return the probability of what was given or is suggested; of several labels with the one that it is of."""
    if error.doubted is None:
        return probability
    return f"{probability} {error.doubted}" if error.doubted in names else f"{probability} no {error.doubted}"


def _picture(error: LabelError, source: ImageSource) -> Picture:
    return Picture(error.image, small(source), [
        ("given", shown(error.given), likely(error, error.given, words.percent(error.given_probability, 0))),
        ("rather", shown(error.suggested), likely(error, error.suggested,
                                                 words.percent(error.suggested_probability, 0))),
        (f"{error.rank}.", error.split, "")])
