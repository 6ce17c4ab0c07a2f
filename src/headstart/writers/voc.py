"""VOC: Annotations/<name>.xml, JPEGImages/, and ImageSets/Main/<split>.txt where there are splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from pydantic import Field

from headstart.types import Instance, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of


class Voc(Writer):
    """Boxes in pixels counted from 1, and `difficult`."""

    decimals: int = Field(4, ge=0, le=9)
    """Of an edge that is on no whole pixel; 0 for tools that read whole numbers only."""

    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return JPEGImages/<name>, whatever the split."""
        return PurePosixPath("JPEGImages", name)

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write an XML file for each image, and a list for each split."""
        (folder / "Annotations").mkdir()
        for image in images:
            tree = _tree(image, classes, self.decimals)
            ElementTree.indent(tree, "\t")
            (folder / "Annotations" / f"{image.file.stem}.xml").write_bytes(ElementTree.tostring(tree, "utf-8") + b"\n")
        splits = [split for split in ("train", "val", "test") if any(image.sample.split == split for image in images)]
        for split in splits:
            (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
            names = [image.file.stem for image in images if image.sample.split == split]
            (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        found = objects_of(images)
        uneven = [any(abs(edge - round(edge, self.decimals)) > 1e-9 for edge in one.box) for one in found]
        fractions = [not all(float(edge).is_integer() for edge in one.box) for one in found] if self.decimals else []
        return [*lost(images, "outlines are left out, boxes kept", [bool(one.polygons) for one in found]),
                *lost(images, "run-length masks are left out, boxes kept", [one.rle is not None for one in found]),
                *lost(images, "crowds are marked difficult instead", [one.crowd for one in found]),
                *lost(images, f"edges are rounded to {self.decimals} decimals", uneven),
                *(lost(images, "edges lie on no whole pixel and are written with decimals; for tools that read whole "
                       "numbers only, --set writer.decimals=0", fractions) if fractions else [])]


def _tree(image: Placed, classes: Sequence[str], decimals: int) -> Element:
    tree = Element("annotation")
    _add(tree, "folder", "JPEGImages")
    _add(tree, "filename", image.file.name)
    size = SubElement(tree, "size")
    for tag, value in (("width", image.size[1]), ("height", image.size[0]), ("depth", 3)):
        _add(size, tag, str(value))
    _add(tree, "segmented", "0")
    for found in image.objects:
        _add_object(tree, found, classes[found.label], decimals)
    return tree


def _add_object(tree: Element, found: Instance, name: str, decimals: int) -> None:
    item = SubElement(tree, "object")
    _add(item, "name", name)
    _add(item, "pose", "Unspecified")
    _add(item, "truncated", "0")
    _add(item, "difficult", str(int(found.difficult or found.crowd)))
    left, top, right, bottom = found.box
    box = SubElement(item, "bndbox")
    for side, edge in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        rounded = round(edge, decimals)
        _add(box, side, str(int(rounded)) if float(rounded).is_integer() else repr(rounded))


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text
