"""Advice page: what to do first, then every other way, then the evidence."""

from __future__ import annotations

from pathlib import Path

from headstart.configuration import to_yaml
from headstart.report import words
from headstart.selection.advice import PAGE, Advice, Option
from headstart.selection.page import Page, Section, write_page

COLUMNS = ("Way", "Expected accuracy", "95% interval", "Time here", "Why")


def write_advice_page(advice: Advice, directory: Path) -> None:
    """Write advice.html into `directory`."""
    parts = [
        Section("What is open", "Best first. What a way gains over the probe is judged from the short fine-tuning on "
                "these images and from what it gained on the benchmark sets; ways that need more time than was given "
                "come last. The interval is that of as many images as are held out.", "", COLUMNS,
                [row(option) for option in advice.options], (1, 2, 3), 0),
        Section("What speaks for it", "", "", ("What was looked at", "Found", "Which means"),
                [(fact.what, fact.found, fact.meaning) for fact in advice.facts]),
        Section("The settings of the first", "`headstart adapt DATA --method auto` takes them; every one can be "
                "overridden by its own flag.", "", ("Settings",), [(to_yaml(advice.settings()),)])]
    write_page(directory / PAGE, Page("Headstart advice", directory.name, f"{advice.data} · made in "
                                      f"{words.duration(advice.seconds)}", sentences(advice), parts))


def row(option: Option) -> list[str]:
    """Return the cells of one way."""
    late = "" if option.fits else " (more than the time given)"
    return [option.words, words.percent(option.value), words.span("accuracy", option.low, option.high),
            words.duration(option.seconds) + late, option.reason]


def sentences(advice: Advice) -> list[str]:
    """Return what to do, in words; the answer first."""
    best = advice.best
    said = [f"Do this: {best.words} on {advice.backbone}: {best.reason}."]
    said += [] if best.fits else [advice.none_fits()]
    of = "the labels of " if advice.multilabel else ""
    if best.value is not None:
        said.append(f"Expect {words.percent(best.value)} of {of}the held-out images to be right "
                    f"({words.span('accuracy', best.low, best.high)}, 95% interval for as many as are held out), in "
                    f"{words.duration(best.seconds)} on this machine.")
    said.append(advice.backbone_reason[:1].upper() + advice.backbone_reason[1:])
    return said

