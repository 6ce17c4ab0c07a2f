"""Masks: an image file beside each image whose pixels say the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import ClassVar

from headstart.data.annotations import Outside, Picture, within
from headstart.data.dataset import Dataset
from headstart.data.legends import Legend, find_legend, read_legend
from headstart.data.mask_coding import Coding, class_of, coding_of_layers
from headstart.data.mask_meaning import ADVICE, MaskMeaning
from headstart.data.mask_pairs import Pairs, is_mask, paired
from headstart.data.mask_sets import with_masks
from headstart.data.mask_table import Named, named_pairs
from headstart.data.splits import as_split
from headstart.data.walk import Parts, Tree, shown, walk
from headstart.errors import ConfigError, DataError
from headstart.readers.reader import Reader
from headstart.types import IGNORED, MaskFiles, Sample, SplitName


class Masks(MaskMeaning, Reader):
    """Mask images: numbers, a palette or colours of classes, a file for each class, or numbers of objects."""

    tasks: ClassVar[tuple[str, ...]] = ("semantic", "detection")
    any_folder: ClassVar[bool] = True

    legend: str | None = None
    """A file that says so, such as classes.txt; None takes one of the usual names in the data folder."""
    images: str | None = None
    """Which files are images, as a pattern such as `training/images/*`; None goes by the names."""
    masks: str | None = None
    """Which files are masks, as a pattern such as `training/1st_manual/*`; None goes by the names."""
    table: str | None = None
    """A table in the data folder with columns `image` and `mask`, such as pairs.csv; also `split` and `group`, if any.
    """
    layers: bool = False
    """Whether an image has several mask files, of which each marks the class that its folder is named after, by any
    number but 0."""
    outside: Outside = "refuse"
    """Whether links that lead out of the folder are followed."""

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether `path` is a folder in which most masks, by their names, find their image."""
        root = Path(path)
        if not root.is_dir():
            return False
        try:
            tree = walk(root)
        except (DataError, OSError):
            return False
        masks = [parts for parts in tree.images if is_mask(parts)]
        if not masks or len(masks) == len(tree.images):
            return False
        pairs = paired([parts for parts in tree.images if not is_mask(parts)], masks)
        return 2 * len(pairs.lone) < len(masks) and len(pairs.masks) >= len(pairs.bare)

    def read(self, path: str, *, task: str | None = None) -> Dataset:
        """Return the data set; raises DataError naming each image whose mask can't be used."""
        root = Path(path)
        if not root.is_dir():
            raise DataError(f"{path}: masks lie in a folder, beside their images. Point at it.")
        self.require_for(path, task, others=("layers",))
        tree = walk(root, outside=self.outside)
        named = self._named(tree.images, root)
        pairs = named.pairs
        if self.instances:
            return self._objects(root, tree, named)
        coding = coding_of_layers(pairs) if self.layers else self.coding(
            [root.joinpath(*parts) for own in pairs.masks.values() for parts in own], str(root), self._legend(root))
        samples = [Sample(shown(image), root.joinpath(*image), (), _split(image, named), named.groups.get(image),
                          mask=_mask(root, own, coding), where=", ".join(map(shown, own)))
                   for image, own in sorted((image, sorted(own)) for image, own in pairs.masks.items())]
        return with_masks(
            Dataset(tuple(samples), coding.classes, "semantic", "masks", root, (*named.notes, *coding.notes),
                    _left(tree, pairs)),
            _bare(pairs), faulty=self.faulty, advice=ADVICE)

    def _objects(self, root: Path, tree: Tree, named: Named) -> Dataset:
        """Return the data with the objects that the masks number."""
        pairs = named.pairs
        ordered = sorted(pairs.masks.items())
        pictures = [Picture(shown(image), root.joinpath(*image), (), shown(own[0]), _split(image, named),
                            group=named.groups.get(image)) for image, own in ordered]
        return self.numbered(pictures, [root.joinpath(*own[0]) for _, own in ordered],
                             self._legend(root), format="masks", root=root,
                             problems=_bare(pairs), notes=named.notes, ignored=_left(tree, pairs))

    def _named(self, files: Sequence[Parts], root: Path) -> Named:
        """Return which masks are of which image: as the table says, or as the names do."""
        if self.table is None:
            named = Named(self._pairs(files, root), {}, {})
        elif self.images or self.masks:
            raise ConfigError("reader.images and reader.masks have no effect beside reader.table. Leave them out.")
        else:
            named = named_pairs(self._beside(root, "table", self.table), root, files)
        for image, own in named.pairs.masks.items():
            if len(own) > 1 and not self.layers:
                listing = ", ".join(map(shown, own))
                which = "Leave one row for each image" if self.table else (
                    f"Say which are meant, such as --set 'reader.masks={shown(own[0][:-1])}/*'")
                raise DataError(f"{root}: {shown(image)} has {len(own)} masks ({listing}). {which}; or, where each "
                                "marks the class of its folder, --set reader.layers=true.")
        return named

    def _pairs(self, files: Sequence[Parts], root: Path) -> Pairs:
        chosen = {parts for parts in files if self.images and fnmatch("/".join(parts), self.images)}
        masks = [parts for parts in files if (fnmatch("/".join(parts), self.masks) if self.masks else is_mask(parts))
                 and parts not in chosen]
        rest = set(files).difference(masks)
        images = [parts for parts in files if parts in (chosen if self.images else rest)]
        if not masks or not images:
            what = "mask" if images else "image"
            raise DataError(f"{root}: no {what} among its {len(files)} pictures. Say which are which, such as --set "
                            "reader.images='images/*' --set reader.masks='masks/*'.")
        return paired(images, masks)

    def _legend(self, root: Path) -> Legend | None:
        if self.classes:
            return self.said()
        if self.legend is None:
            found = find_legend(root)
            return None if found is None else read_legend(found)
        return read_legend(self._beside(root, "legend", self.legend))

    def _beside(self, root: Path, setting: str, name: str) -> Path:
        """Return a file in the data folder, or from here. Raises ConfigError where there is none."""
        place = next((place for place in (root / name, Path(name)) if place.is_file()), None)
        if place is None:
            raise ConfigError(f"reader.{setting}: {name} is no file, neither here nor in {root}.")
        if self.outside == "refuse" and place.is_symlink() and not within(place, root):
            raise DataError(f"{place}: a link out of {root}. Copy it in, or set reader.outside=allow.")
        return place


def _mask(root: Path, masks: Sequence[Parts], coding: Coding) -> MaskFiles:
    return MaskFiles(tuple(root.joinpath(*parts) for parts in masks), tuple(
        coding.by_name[class_of(parts)] if coding.by_name else coding.codes for parts in masks),
        IGNORED if coding.by_name is None else 0)


def _bare(pairs: Pairs) -> list[str]:
    return [f"{shown(image)}: has no mask" for image in pairs.bare]


def _left(tree: Tree, pairs: Pairs) -> tuple[str, ...]:
    return (*tree.ignored, *(f"{shown(mask)} (a mask without an image)" for mask in pairs.lone))


def _split(image: Parts, named: Named) -> SplitName | None:
    return named.splits.get(image) or next((split for name in image[:-1] if (split := as_split(name))), None)
