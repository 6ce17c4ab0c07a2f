"""Forecast page: the learning curve so far, where it goes, and what more labels would bring."""

from __future__ import annotations

from pathlib import Path

from headstart.report import words
from headstart.report.forecast import figure, in_words, sentences
from headstart.report.records import ForecastRecord
from headstart.selection.page import Page, Section, write_page

PAGE = "forecast.html"


def write_forecast_page(found: ForecastRecord, data: str, directory: Path) -> None:
    """Write forecast.html into `directory`."""
    parts = [Section("The curve", "Dots: measured on images that were not learnt from, with the spread of the folds. "
                     "The line and the band go on from there: the middle and 80% of what is to be expected.",
                     figure(found)),
             Section("With more labels", "", "", ("Images to learn from", "Expected accuracy", "80% interval"),
                     [(f"{words.count(round(point.images))} ({factor}×)", words.percent(point.value),
                       words.span("accuracy", point.low, point.high)) for factor, point in found.ahead.items()],
                     (1, 2))]
    if found.targets:
        parts.append(Section("For a stated accuracy", "", "", ("Accuracy", "Images, if all goes well", "Likely",
                             "To be safe"), [(words.percent(float(name)), *map(in_words, needed))
                                             for name, needed in found.targets.items()], (1, 2, 3)))
    parts.append(Section("By class", "What the last doubling of the images brought, the most first; of few images "
                         "a part is chance.", "", ("Class", "Right now", "Gained"),
                         [(name, words.percent(now), words.points("accuracy", gained))
                          for name, now, gained in found.gains], (1, 2)))
    write_page(directory / PAGE, Page("Headstart forecast", directory.name, f"{found.method} on {found.backbone} · "
                                      f"{data}", sentences(found), parts))
