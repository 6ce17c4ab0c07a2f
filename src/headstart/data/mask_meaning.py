"""MaskMeaning: what the numbers in masks mean, as the settings that every reader of masks has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from headstart.data.annotations import Picture, detection
from headstart.data.dataset import Dataset
from headstart.data.legends import Legend, legend_of_words
from headstart.data.mask_coding import Coding, coding_of, values
from headstart.data.mask_objects import OBJECT, numbering_of, with_objects
from headstart.data.mask_sets import BACKGROUND, Faulty, refused
from headstart.errors import ConfigError
from headstart.part import Part, Words
from headstart.types import ImageSource

ADVICE = "Mend these masks, say what unknown numbers mean (--set reader.classes=..., --set reader.ignore=255)"


class MaskMeaning(Part):
    """The classes of numbers, or that they number objects."""

    classes: Words = ()
    """Names by number from 0 (`sky,road`), with their number (`0:membrane,255:cell`) or colour (`#ff0000:road`)."""
    ignore: Words = ()
    """Numbers or colours of pixels that are of no class, such as 255; a class called `void` is ignored anyway."""
    foreground: bool = False
    """Whether every number but 0 is one and the same class: for masks that number the objects of an image."""
    instances: bool = False
    """Whether every number but 0 is one object of the image, to be found as such (task detection)."""
    divisor: int | None = Field(None, ge=2)
    """With `instances`: a number // divisor is that of the class, as with 1000 in Cityscapes' instanceIds."""
    faulty: Faulty = "refuse"
    """What to do with an image whose mask is missing, damaged, of another size, or holds an unknown number."""

    def require_for(self, where: str, task: str | None, *, others: Sequence[str] = ()) -> None:
        """Raise ConfigError for settings that don't go together, or not with the task. others: more that say it all."""
        ways = [name for name in (*others, "foreground", "instances") if getattr(self, name)]
        if len(ways) > 1:
            raise ConfigError(f"reader.{' and reader.'.join(ways)}: each says in its own way what the numbers of a "
                              "mask mean. Set one of them.")
        if self.divisor is not None and not self.instances:
            raise ConfigError("reader.divisor: has no effect without --set reader.instances=true.")
        if task == "detection" and not self.instances:
            raise ConfigError(f"{where}: masks, which say the class of each pixel and not where an object ends. If "
                              "each number of a mask is one object: --set reader.instances=true.")
        if task == "semantic" and self.instances:
            raise ConfigError(f"{where}: reader.instances reads objects, which are data for detection. For the class "
                              "of each pixel: --set reader.foreground=true, which makes all objects one class.")

    def said(self) -> Legend | None:
        """Return the legend that `classes` is, if any."""
        return legend_of_words(self.classes) if self.classes else None

    def coding(self, masks: Sequence[ImageSource], where: str, legend: Legend | None) -> Coding:
        """Return what the numbers of these masks mean. Raises ConfigError, or DataError where nothing says it."""
        return coding_of(masks, where, legend, ignored=values(self.ignore), foreground=self.foreground,
                         names=self.classes)

    def numbered(self, pictures: Sequence[Picture], masks: Sequence[ImageSource], legend: Legend | None, *, format: str,
                 root: Path | None, problems: Sequence[str] = (), notes: Sequence[str] = (),
                 ignored: Sequence[str] = ()) -> Dataset:
        """Return the data with the objects that the masks number. masks: of each picture. legend: of the
        classes, or of the one class.

        problems: images that have no mask. notes, ignored: of the data set, as it is. Raises DataError naming each
        image whose mask can't be used.
        """
        words = self.classes
        if self.divisor is None and not words and legend is not None:
            words = tuple(name for name in legend.classes if name.casefold() != BACKGROUND)
            if len(words) > 1:
                raise ConfigError(f"{root or format}: the legend has {len(words)} classes. Does a number say the class "
                                  f"of its object, such as 1001 that it is {words[0]}? Then --set reader.divisor=1000. "
                                  "Else name the one class: --set reader.classes=NAME.")
        numbering = numbering_of(legend if self.divisor else None, words, divisor=self.divisor,
                                 ignored=values(self.ignore))
        found, wrong = with_objects(pictures, masks, numbering)
        dropped = refused(root or format, [*problems, *wrong], len(pictures) + len(problems), faulty=self.faulty,
                          advice=ADVICE)
        unnamed = [f"each number of a mask is one `{OBJECT}`; another name: --set reader.classes=NAME"] \
            if self.divisor is None and not words else []
        return detection(found, format=format, root=root, notes=[*notes, *dropped, *unnamed], ignored=ignored)
