"""Findings: what the check of a data set says, item by item, and which of them forbid a run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headstart.errors import ConfigError, DataError, listed, nearest

Level = Literal["ok", "warning", "error"]

OVERRULABLE = ("box_outside", "class_missing", "conflicting_labels", "image_size", "image_turned", "leak_exact",
               "leak_group", "leak_near")
"""Kinds of errors that a user may overrule by name; with any other there would be no result at all."""


class Finding(BaseModel):
    """The verdict on one item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    """The name of the item, such as `leak_exact`; what `--allow` takes."""
    level: Level
    """`ok`, `warning` (read it) or `error` (a result on this data would be a lie, or there would be none)."""
    text: str
    """One sentence that says what was found, where."""
    items: tuple[str, ...] = ()
    """Every image, class or pair that is meant, one a string."""
    count: int = 0
    """How many of them there are."""
    advice: str = ""
    """What to do."""


class CheckReport(BaseModel):
    """All that the check of a data set found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: tuple[Finding, ...]
    summary: dict[str, Any]
    """Counts and distributions: `images`, `readable`, `classes`, `splits`, `width`, `height`, `modes`, `formats`."""
    unreadable: dict[str, str]
    """Reason by sample id."""
    exact_sets: tuple[tuple[str, ...], ...]
    """Ids of the images that have the same pixels, a tuple for each set of two or more."""
    near_sets: tuple[tuple[str, ...], ...]
    """Ids of the images that look the same; a set holds every copy, exact ones included."""
    hash_sets: tuple[tuple[str, ...], ...] = ()
    """Those sets by the perceptual hash alone: what `adapt --group-by duplicates` keeps in one split."""
    sizes: dict[str, tuple[int, int]] = Field(default_factory=dict, exclude=True)
    """Height and width of each readable image, upright, by sample id; no part of the JSON."""

    @property
    def level(self) -> Level:
        """The worst level of all findings."""
        levels = {finding.level for finding in self.findings}
        return "error" if "error" in levels else "warning" if "warning" in levels else "ok"

    def refusals(self) -> list[Finding]:
        """Return the findings of level `error`: those that would make the result a lie."""
        return [finding for finding in self.findings if finding.level == "error"]

    def finding(self, kind: str) -> Finding | None:
        """Return the finding of that kind, or None where the check did not look for it."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values, with the overall `level` in front."""
        return {"level": self.level, **self.model_dump(mode="json")}


def counted(count: int, noun: str) -> str:
    """Return `1 image` or `6 images`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def enforce(report: CheckReport, allow: Collection[str] = ()) -> None:
    """Refuse data on which a result would be a lie.

    allow: kinds of findings to go on in spite of. `corrupt` belongs here only where `drop_bad` leaves the files out.
    Raises DataError with every other error-level finding, its first items and what to do; ConfigError for an
    unknown name in `allow`.
    """
    for name in allow:
        if name not in (*OVERRULABLE, "corrupt"):
            raise ConfigError(f'--allow: unknown finding "{name}".' + nearest(name, OVERRULABLE))
    refused = [finding for finding in report.refusals() if finding.kind not in allow]
    if refused:
        raise DataError("\n".join(_refusal(finding) for finding in refused))


def _refusal(finding: Finding) -> str:
    way_out = f" To go on all the same: --allow {finding.kind}." if finding.kind in OVERRULABLE else ""
    items = f"\n{listed(finding.items)}" if finding.items else ""
    return f"{finding.kind}: {finding.text}{items}\n  {finding.advice}{way_out}"
