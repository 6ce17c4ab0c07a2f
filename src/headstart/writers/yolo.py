"""YOLO: data.yaml, images/<split>/ and labels/<split>/<name>.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from headstart.configuration import to_yaml
from headstart.data.patches import ring_of, traced
from headstart.types import Instance, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of


class Yolo(Writer):
    """Boxes, or outlines, as shares of the picture."""

    shapes: Literal["boxes", "polygons"] = "boxes"
    """`polygons`: an object is a line with the points of its outline; of several outlines, or of a run-length mask, one
    is made along the pixels; only an object that has neither is a box. It is the default for masks of classes."""

    def for_patches(self) -> Self:
        """Return the writer with outlines, unless boxes were asked for: of a patch, a box says too little."""
        return self if "shapes" in self.model_fields_set else self.model_copy(update={"shapes": "polygons"})

    def place(self, name: str, split: SplitName | None) -> PurePosixPath:
        """Return images/<split>/<name>; images without a split lie in train."""
        return PurePosixPath("images", split or "train", name)

    def write(self, images: Sequence[Placed], classes: Sequence[str], folder: Path) -> list[str]:
        """Write data.yaml and a text file for each image, an empty one where it shows nothing."""
        for image in images:
            split = image.file.parts[1]
            (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
            lines = [self._line(found, image.size) for found in image.objects if not found.crowd]
            (folder / "labels" / split / f"{image.file.stem}.txt").write_text("".join(f"{line}\n" for line in lines))
        splits = [split for split in ("train", "val", "test") if any(image.file.parts[1] == split for image in images)]
        values = {**{split: f"images/{split}" for split in splits}, "nc": len(classes), "names": list(classes)}
        (folder / "data.yaml").write_text(to_yaml(values), encoding="utf-8")
        bare = sum(image.sample.split is None for image in images)
        return [*self._lost(images), *([f"{bare} images have no split, and stand under train"] if bare else [])]

    def _lost(self, images: Sequence[Placed]) -> list[str]:
        found, outlines = objects_of(images), self.shapes == "polygons"
        lines = [not one.crowd for one in found]
        keeps = "" if outlines else "; --set writer.shapes=polygons keeps them"
        traces = [line and outlines and _traceable(one) for one, line in zip(found, lines, strict=True)]
        boxed = [line and outlines and bool(one.polygons) for one, line in zip(found, lines, strict=True)]
        return [*lost(images, "crowds are left out: a line would make each an object", [one.crowd for one in found]),
                *lost(images, "difficult is not kept", [one.difficult and not one.crowd for one in found]),
                *lost(images, "run-length masks are left out, boxes kept",
                      [one.rle is not None and not kept for one, kept in zip(found, traces, strict=True)]),
                *lost(images, f"outlines are left out, boxes kept{keeps}",
                      [bool(one.polygons) and line and not outlines for one, line in zip(found, lines, strict=True)]),
                *lost(images, "several outlines, or a run-length mask, are one outline along the pixels", traces),
                *lost(images, "the box is that around the outline, where the data had one of its own", boxed)]

    def _line(self, found: Instance, size: tuple[int, int]) -> str:
        height, width = size
        left, top, right, bottom = found.box
        shares = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                  (bottom - top) / height]
        outline = _outline(found, size) if self.shapes == "polygons" else ()
        if outline:
            shares = [edge / (height if place % 2 else width) for place, edge in enumerate(outline)]
        return " ".join([str(found.label), *(f"{share:.10f}".rstrip("0").rstrip(".") for share in shares)])


def _traceable(found: Instance) -> bool:
    """Return whether an outline is made for the object that it does not have."""
    return len(found.polygons) > 1 or (found.rle is not None and not found.polygons)


def _outline(found: Instance, size: tuple[int, int]) -> tuple[float, ...]:
    """Return the one outline of an object; nothing where it has none and holds no pixel."""
    if len(found.polygons) == 1:
        return found.polygons[0]
    outlines = traced(found, size) if _traceable(found) else []
    return ring_of(outlines) if outlines else ()
