"""Folders made for another task: images with boxes or masks, which would give nonsense if read as classes."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from headstart.data.walk import Parts, Tree, shown
from headstart.errors import DataError

MASK_FOLDER = re.compile(r"(mask|label|annot|annotation|gt|truth|segmentation)s?$", re.IGNORECASE)
MASK_STEM = re.compile(r"[ _-]*(mask|label|gt|annot|seg|segmentation)s?$", re.IGNORECASE)
BOXES = "--format coco, voc, yolo or labelme, whichever it is; YOLO needs a data.yaml with the names of its classes."
OVERRULE = "If they are classes after all: --set reader.classes_at=1 (or the level at which the class folders lie)."


def refuse_other_tasks(tree: Tree) -> None:
    """Raise DataError if the folder looks like object detection or segmentation."""
    stems: dict[Parts, set[str]] = defaultdict(set)
    for parts in tree.images:
        stems[parts[:-1]].add(PurePosixPath(parts[-1]).stem)
    what = _boxes(tree, stems) or _mask_folders(stems) or _masks_among(stems)
    if what:
        advice = f"To read its boxes: {BOXES} " if what.startswith("object detection") else ""
        raise DataError(f"{tree.root}: this looks like {what}, not like classification, where each class has a folder "
                        f"or each image a row in a table. {advice}{OVERRULE}")


def _boxes(tree: Tree, stems: dict[Parts, set[str]]) -> str:
    coco = [p for p in tree.others if p[-1].lower().endswith(".json")
            and re.search(r"coco|^instances_|^annotations?\.", p[-1].lower())]
    if coco:
        return f"object detection (COCO annotations in {shown(coco[0])})"
    images = set().union(*stems.values()) if stems else set()
    beside = [p for p in tree.others if PurePosixPath(p[-1]).suffix.lower() in {".xml", ".txt", ".json"}
              and PurePosixPath(p[-1]).stem in images]
    if len({PurePosixPath(p[-1]).stem for p in beside}) * 2 <= len(images):
        return ""
    kind = {".xml": "Pascal VOC", ".txt": "YOLO or similar", ".json": "labelme or similar"}
    style = kind[PurePosixPath(beside[0][-1]).suffix.lower()]
    return f"object detection ({style}: an annotation file for each image, such as {shown(beside[0])})"


def _mask_folders(stems: dict[Parts, set[str]]) -> str:
    """Find a folder named for masks that holds the same file names as one that is not."""
    masks = {parts: found for parts, found in stems.items() if parts and MASK_FOLDER.search(parts[-1])}
    for parts, found in masks.items():
        for other, pictures in stems.items():
            same = sum(stem in pictures or MASK_STEM.sub("", stem) in pictures for stem in found)
            if other and other not in masks and same >= 0.9 * len(found):
                return f"segmentation (the same file names in {shown(other)}/ and {shown(parts)}/: images and masks)"
    return ""


def _masks_among(stems: dict[Parts, set[str]]) -> str:
    """Find masks beside their images in one folder: `7.png` and `7_mask.png`."""
    pairs = [(parts, stem) for parts, found in stems.items() for stem in found
             if (base := MASK_STEM.sub("", stem)) != stem and base in found]
    if len(pairs) * 5 < sum(map(len, stems.values())):
        return ""
    parts, stem = min(pairs)
    return f"segmentation (masks among the images, such as {shown((*parts, stem))}; move them out)"
