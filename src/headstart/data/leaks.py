"""Leaks: copies of an image, and images of one group, that stand where they make a result a lie."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from headstart.data.balance import SPLITS, labels_of
from headstart.data.dataset import Dataset
from headstart.data.findings import Finding, Level, counted
from headstart.types import Sample

TOLERATED = 0.01
"""Share of leaked or doubly labelled images above which a warning becomes an error."""

Sets = Sequence[Sequence[str]]


def duplicate_findings(samples: Sequence[Sample], exact: Sets, near: Sets, *, identical_files: int,
                       ways: Mapping[str, Sets] | None = None) -> list[Finding]:
    """Return how many copies there are, wherever they are.

    identical_files: superfluous files, byte for byte. ways: what each way of finding near copies found, by its name,
    where there were several.
    """
    surplus = sum(len(names) - 1 for names in exact)
    if exact:
        text = (f"Exact copies of another image: {surplus} of {len(samples)}, in {counted(len(exact), 'set')} "
                f"({identical_files} the same file, {surplus - identical_files} only the same pixels).")
        advice = ("Where Headstart makes the splits, copies stay together in one. They still count twice: take "
                  "superfluous ones out.")
    else:
        text, advice = "No two images have the same pixels.", ""
    findings = [Finding(kind="duplicates_exact", level="warning" if exact else "ok", text=text, advice=advice,
                        items=_lines(exact), count=surplus)]
    return [*findings, _near_finding(exact, near, ways or {})]


def _near_finding(exact: Sets, near: Sets, ways: Mapping[str, Sets]) -> Finding:
    copies = {name: row for row, names in enumerate(exact) for name in names}
    looks = [names for names in near if len({copies.get(name, name) for name in names}) > 1]
    if not looks:
        return Finding(kind="duplicates_near", level="ok",
                       text="No two images look the same" + (f", by their {' or '.join(ways)}" if ways else "") + ".")
    count = sum(len({copies.get(name, name) for name in names}) - 1 for names in looks)
    found = {way: [any(set(part) <= set(names) for part in sets) for names in looks] for way, sets in ways.items()}
    said = ", ".join(f"{sum(flags)} by their {way}" for way, flags in found.items())
    # The first way is the one that `--group-by duplicates` goes by.
    first = next(iter(ways.values()), near)
    grouped = [any(set(names) <= set(part) for part in first) for names in looks]
    lines = [line if sure else f"{line} (by their {' and '.join(way for way in found if found[way][row])})"
             for row, (line, sure) in enumerate(zip(_lines(looks), grouped, strict=True))]
    advice = "Look at them. If they show the same thing: --group-by duplicates keeps them in one split."
    if not all(grouped):
        advice = ("Look at them. If they show the same thing: --group-by duplicates keeps those of the "
                  f"{next(iter(ways))} in one split; of the others take the superfluous ones out, or name their group "
                  "in a column.")
    return Finding(kind="duplicates_near", level="warning", items=tuple(lines), count=count, advice=advice,
                   text=f"Near copies of another image: {count}, in {counted(len(looks), 'set')}"
                        + (f" ({said})" if said else "") + ".")


def leak_findings(samples: Sequence[Sample], exact: Sets, near: Sets, *, strict: bool) -> list[Finding]:
    """Return copies and groups that lie in two of the splits that the data came with; nothing where it has none."""
    if len({sample.split for sample in samples if sample.split}) < 2:
        return []
    by_id = {sample.id: sample for sample in samples}
    apart = [names for names in near if not any(set(names) <= set(others) for others in exact)]
    return [_leak("leak_exact", "the same pixels as", exact, by_id, strict=strict, tolerated=TOLERATED),
            _leak("leak_near", "the look of", apart, by_id, strict=strict, tolerated=1.0), _group_leak(samples)]


def _leak(kind: str, likeness: str, sets: Sets, by_id: Mapping[str, Sample], *, strict: bool,
          tolerated: float) -> Finding:
    """Return the verdict on images that two splits share."""
    sizes = Counter(str(sample.split) for sample in by_id.values())
    shared: Counter[tuple[str, str]] = Counter()
    crossing = []
    for names in sets:
        found = Counter(str(by_id[name].split) for name in names)
        if sum(1 for split in SPLITS if found[split]) > 1:
            crossing.append([f"{name} [{by_id[name].split}]" if by_id[name].split else name for name in names])
        for earlier, later in combinations(SPLITS, 2):
            if found[earlier]:
                shared[earlier, later] += found[later]
    if not crossing:
        return Finding(kind=kind, level="ok", text=f"No image of one split has {likeness} one of another.")
    shares = {pair: count / sizes[pair[1]] for pair, count in shared.items() if count}
    level: Level = "error" if strict or max(shares.values()) > tolerated else "warning"
    said = [f"{shared[earlier, later]} of {sizes[later]} {later} images have {likeness} one in {earlier} ({share:.1%})"
            for (earlier, later), share in shares.items()]
    return Finding(kind=kind, level=level, text="; ".join(said) + ".", items=_lines(crossing),
                   count=sum(shared.values()),
                   advice="The metrics would be too good. Take the copies out of train, or give the data without its "
                          "split folders or split column: Headstart's own splits keep copies together"
                          + ("." if kind == "leak_exact" else " with --group-by duplicates, if their perceptual "
                                                               "hash finds them."))


def _group_leak(samples: Sequence[Sample]) -> Finding:
    """Return the verdict on groups in two splits; their names may be those of patients, so only hashes are shown."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in samples:
        if sample.group is not None and sample.split:
            found[sample.group][sample.split] += 1
    leaked = {group: counts for group, counts in found.items() if len(counts) > 1}
    if not leaked:
        text = f"None of the {len(found)} groups is in two splits." if found else "The data names no groups."
        return Finding(kind="leak_group", level="ok", text=text)
    items = [f"group {hashed(group)}: " + ", ".join(f"{counts[split]} in {split}" for split in SPLITS if counts[split])
             for group, counts in leaked.items()]
    return Finding(kind="leak_group", level="error", items=tuple(items), count=len(leaked),
                   text=f"In two splits: {len(leaked)} of {counted(len(found), 'group')} (names shown as hashes).",
                   advice="The metrics would be too good. Move each group into one split, or give the data without its "
                          "splits: Headstart's own keep groups together.")


def hashed(group: str) -> str:
    """Return the first 8 hex digits of the name's SHA-256."""
    return hashlib.sha256(group.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def conflict_findings(dataset: Dataset, samples: Sequence[Sample], exact: Sets, near: Sets, *,
                      strict: bool) -> list[Finding]:
    """Return images that occur with two labels, as exact copies and as images that only look the same."""
    by_id = {sample.id: sample for sample in samples}
    # Two frames of a film may well show other objects; copies of one picture show the same.
    near = () if dataset.whole else near
    same, alike = _conflicts(dataset, by_id, exact), _conflicts(dataset, by_id, near)
    findings = [Finding(kind="conflicting_labels", level="ok", text="No image occurs with two labels.")]
    if same:
        count = sum(len(names) for names in same)
        share = count / len(samples)
        findings = [Finding(
            kind="conflicting_labels", level="error" if strict or share > TOLERATED else "warning",
            text=f"{counted(len(same), 'picture')} with different labels, in {count} images ({share:.1%} of all).",
            items=_lines(same), count=count, advice="Decide which label is right, and take the other copy out.")]
    known = {frozenset(names) for names in same}
    alike = [names for names in alike if frozenset(names) not in known]
    if alike:
        findings.append(Finding(
            kind="conflicting_labels_near", level="warning", items=_lines(alike), count=len(alike),
            text=f"{counted(len(alike), 'set')} of images that look the same, with different labels.",
            advice="Look at them: one of the labels may be wrong."))
    return findings


def _conflicts(dataset: Dataset, by_id: Mapping[str, Sample], sets: Sets) -> list[list[str]]:
    def named(sample: Sample) -> str:
        return " + ".join(dataset.classes[label] for label in labels_of(sample)) or "none"

    return [[f"{name} [{named(by_id[name])}]" for name in names] for names in sets
            if len({frozenset(labels_of(by_id[name])) for name in names}) > 1]


def _lines(sets: Collection[Sequence[str]]) -> tuple[str, ...]:
    return tuple(" = ".join(names) for names in sets)
