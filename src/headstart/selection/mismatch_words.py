"""Mismatch in words: the verdict first, then what differs, what accuracy to expect, and in which proportions."""

from __future__ import annotations

from headstart.report import words
from headstart.selection.apart import Apart
from headstart.selection.appearance import MEASURES, Difference
from headstart.selection.mismatch import Comparison, Mismatch
from headstart.selection.prospects import LabelShift, Prospects
from headstart.selection.source_domain import SourceDomain

FEW = 30
"""Images below which only large differences show."""
NAMED = 3
"""Differences that a sentence names."""
FORMAT = 0.5
"""Share of pictures in other file formats from which on it is said."""
MIXED = 0.5
"""Part of the distance that is left within classes, below which the mix of classes is named as a cause."""
LEADS = {"none": "No mismatch", "slight": "A slight mismatch", "clear": "A clear mismatch",
         "severe": "A severe mismatch"}


def sentences(found: Mismatch) -> list[str]:
    """Return what was found, in words; the answer first."""
    said: list[str] = []
    for one in found.comparisons:
        said += of_comparison(one)
    if found.source is not None:
        said.append(of_source(found.source, found.settings.backbone))
    return said or ["Nothing could be compared."]


def of_comparison(one: Comparison) -> list[str]:
    """Return what is said of two sets."""
    said = [lead(one), distances(one)]
    if min(one.apart.counts) < FEW:
        said.append(f"With {one.apart.counts[0]} and {one.apart.counts[1]} images only large differences show: that "
                    "none is found does not mean that there is none.")
    said.append(eye(one))
    if one.prospects is not None:
        said += ahead(one.prospects, one.second)
    return said


def lead(one: Comparison) -> str:
    """Return the verdict as a sentence."""
    meaning = {
        "none": "neither a classifier nor a test tells the two apart by more than chance",
        "slight": "they can be told apart, but lie close together",
        "clear": "a model of the first will make mistakes on the second that it does not make at home",
        "severe": "do not trust a model of the first on the second before it was proven there"}[one.level]
    return f"{LEADS[one.level]} of {one.first} and {one.second}: {meaning}."


def distances(one: Comparison) -> str:
    """Return what the distances say."""
    apart: Apart = one.apart
    gap, test = apart.gaps["proxy_a"], apart.gaps["mmd"].whole
    right = 0.5 + gap.whole.value / 4
    which = "which of the two an image is from" + (", no more than by chance" if right <= 0.5 else "")
    by_chance = f", {words.number(max(gap.halves), 2)} at most between halves of {one.first}" if gap.halves else ""
    said = (f"A classifier says in {words.percent(max(0.5, right), 0)} of cases {which} "
            f"(proxy A-distance {words.number(gap.whole.value, 2)}, {words.number(gap.whole.low, 2)} to "
            f"{words.number(gap.whole.high, 2)}{by_chance}); the Fréchet distance is {words.percent(apart.share, 0)} "
            f"of the variance within {one.first}; the kernel test (MMD) has p = {words.number(test.p_value)}.")
    frechet = apart.gaps["frechet"]
    if one.level != "none" and frechet.within is not None and frechet.within < MIXED * frechet.whole.value:
        said += " Within the classes less than half of that is left: much of it is another mix of classes."
    return said


def eye(one: Comparison) -> str:
    """Return how the pictures of the second set look beside those of the first."""
    found = [_differs(item) for item in one.striking[:NAMED]]
    said = f"To the eye, {one.second} beside {one.first}: {words.named(found)}." if found else \
        "In light, contrast, sharpness, colour, noise, size and coding the pictures do not differ by more than chance."
    first, second = one.formats
    other = sum(abs(first.get(name, 0.0) - second.get(name, 0.0)) for name in {*first, *second}) / 2
    if first and second and other >= FORMAT:
        said += (f" Its files are mostly {max(second, key=second.__getitem__)}, those of {one.first} "
                 f"{max(first, key=first.__getitem__)}: a model may learn the traces of the coding.")
    return said


def _differs(item: Difference) -> str:
    return f"{item.words} ({MEASURES[item.name].label} {_short(item.second)} against {_short(item.first)})"


def _short(value: float) -> str:
    """Return the number with about three digits that count."""
    return words.number(value, 0 if value >= 100 else 1 if value >= 10 else 2)


def ahead(found: Prospects, second: str) -> list[str]:
    """Return the accuracy and the proportions of classes to expect."""
    expected = found.expected
    trust = {"good": "the estimates agree", "fair": "the estimates agree roughly",
             "poor": "the estimates disagree, the answers crowd on few classes, or they teach little that is right at "
                     "home: label some images and measure"}
    said = (f"Expect {found.by} to be right in {words.percent(expected.accuracy, 0)} of {second} "
            f"({words.span('accuracy', expected.low, expected.high)}), against "
            f"{words.percent(expected.source_accuracy, 0)} at home. Trust in that: {expected.trust}, "
            f"{trust[expected.trust]}.")
    if expected.weighted_way_back:
        alike = expected.accuracy * expected.way_back / expected.weighted_way_back
        said += (f" That takes {second} to show other shares of the classes, or only some, as the answers there say; "
                 f"should it show all of them alike, {words.percent(alike, 0)} may be right.")
    if found.real is not None:
        said += f" By the labels that are there it is right in {words.percent(found.real, 0)}."
    return [said, *([proportions(found.shift, second)] if found.shift is not None else [])]


def proportions(shift: LabelShift, second: str) -> str:
    """Return how the mix of classes differs."""
    if not shift.told:
        why = "the classes themselves look different there" if shift.agree else "the estimates disagree"
        return f"In which proportions the classes of {second} stand can't be told: {why}. Do not correct by them."
    if not shift.shifted:
        return f"The classes of {second} stand in about the proportions known from training."
    name, before, now = shift.largest()
    return (f"The classes of {second} stand in other proportions: at least {words.percent(shift.moved, 0)} of the "
            f"images would have to change class; {name} makes up about {words.percent(now, 0)} against "
            f"{words.percent(before, 0)}.")


def of_source(found: SourceDomain, backbone: str) -> str:
    """Return how like the pretraining the images are."""
    if found.distance is None:
        said = f"How like the images of its pretraining these are can't be read off {backbone}, which has no BatchNorm"
    else:
        what = {"like": "like", "between": "neither like nor very unlike", "unlike": "unlike"}[found.word]
        said = (f"For {backbone} these images are {what} those of its pretraining, layer by layer: they lie "
                f"{words.number(found.distance)} apart there (0 the same, 1 nothing in common; photographs of things "
                "have 0.01 to 0.05, noise 0.24)")
    if found.confidence is not None and found.entropy is not None:
        said += (f"; its own classifier is {words.percent(found.confidence, 0)} sure of its answers on average "
                 f"(entropy {words.percent(found.entropy, 0)})")
    return said + "."
