"""Mask coding: what the numbers in a data set's mask files mean, as it was said, or as the files look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.data.legends import Legend, legend_of_words
from headstart.data.mask_pairs import Pairs
from headstart.data.pixel_classes import histogram, named
from headstart.data.walk import Parts
from headstart.errors import ConfigError, DataError
from headstart.images import ImageError, decode_values
from headstart.types import UNMARKED, Codes, ImageSource

MOST_VALUES = 32
"""Numbers that masks without a legend may hold: more are object numbers, or grey levels."""


@dataclass(frozen=True)
class Coding:
    """What the numbers in the mask files mean."""

    classes: tuple[str, ...]
    codes: Codes
    by_name: dict[str, Codes] | None = None
    """Of each file that marks one class, by the name of that class."""
    notes: tuple[str, ...] = ()


def coding_of(masks: Sequence[ImageSource], where: str, legend: Legend | None, *, ignored: frozenset[int],
              foreground: bool, names: Sequence[str]) -> Coding:
    """Return what the numbers of masks mean: as it was set, as a legend says, or as they look.

    where: the masks are, for messages. ignored: numbers of no class. foreground: whether all numbers but 0 are one
    class. names: of the classes, as they were set. Raises ConfigError, or DataError where nothing says what the numbers
    mean.
    """
    if foreground:
        two = tuple(names) or ("background", "object")
        if len(two) != 2:
            raise ConfigError("reader.classes: with foreground, name two: what 0 is, and what all others are.")
        return Coding(two, Codes({0: 0}, ignored, others=1))
    if legend is None:
        return _looked_at(masks, where, ignored)
    void = legend.void | ignored
    return Coding(legend.classes, Codes({value: label for value, label in legend.labels().items() if value not in void},
                                        void, colours=legend.colours))


def class_of(parts: Parts) -> str:
    """Return the class that a file marks: the name of its folder."""
    return parts[-2] if len(parts) > 1 else ""


def coding_of_layers(pairs: Pairs) -> Coding:
    """Return the coding of files that each mark the class of their folder; what none marks is background."""
    names = sorted({class_of(parts) for own in pairs.masks.values() for parts in own})
    by_name = {name: Codes({0: UNMARKED}, others=place) for place, name in enumerate(names, 1)}
    return Coding(("background", *names), Codes({}), by_name,
                   (f"a mask file for each class ({', '.join(names)}); what none of them marks is `background`",))


def _looked_at(masks: Sequence[ImageSource], where: str, ignored: frozenset[int]) -> Coding:
    """Return the coding of masks without a legend, from the numbers that they hold. Raises DataError for too many."""
    counts: Counter[int] = Counter()
    for mask in masks:
        try:
            kinds, many = histogram(decode_values(mask))
        except ImageError as error:
            if "in colours" in str(error):
                raise DataError(f"{error} Such as --set 'reader.classes=#ff0000:road,#000000:rest', or with a legend: "
                                "classes.txt in the data folder, a line `255 0 0 road` for each class.") from None
            continue  # told with all others that can't be used
        counts.update(dict(zip(kinds, many, strict=True)))
        if len(counts) > MOST_VALUES:
            raise DataError(f"{where}: the masks hold {len(counts)} numbers and more. Do they number the objects of an "
                            "image? Then --set reader.foreground=true makes them one class. Were they resized or saved "
                            "as JPEG, which mixes numbers? Else say which number is which class: --set "
                            "reader.classes=0:sky,1:road.")
    values = sorted(set(counts) - ignored)
    blurred = next((mask for mask in masks if Path(str(mask)).suffix.lower() in (".jpg", ".jpeg")), None)
    if blurred is not None and len(values) > 2:
        raise DataError(f"{where}: masks such as {blurred} are JPEG files, which mix numbers: they hold {len(values)}. "
                        "Save them as PNG, from where they were drawn. If the numbers are right nevertheless, "
                        "name them: --set reader.classes=0:sky,1:road.")
    if len(values) == 2 and values[0] == 0:
        return Coding(("background", "foreground"), Codes({0: 0, values[1]: 1}, ignored), notes=(
            f"no legend: 0 is `background` and {values[1]} `foreground`; other names: --set "
            f"reader.classes=0:NAME,{values[1]}:NAME",))
    if 255 in values:
        raise DataError(f"{where}: the masks hold {', '.join(named(value, False) for value in values)}, and no legend "
                        "says what they mean. Is 255 what is of no class? Then --set reader.ignore=255. Else name "
                        "them: --set reader.classes=0:sky,1:road,255:edge.")
    return Coding(tuple(f"class {value}" for value in values),
                   Codes({value: place for place, value in enumerate(values)}, ignored),
                   notes=("no legend: classes are named by their numbers; names: --set reader.classes=sky,road,..., or "
                          "classes.txt in the data folder with a name in each line",))


def values(words: Sequence[str]) -> frozenset[int]:
    """Return numbers, or colours as #rrggbb, from words. Raises ConfigError for a word that is neither."""
    legend = legend_of_words([f"{word}:{word}" for word in words]) if words else None
    return frozenset(value for value, _ in legend.names) if legend else frozenset()
