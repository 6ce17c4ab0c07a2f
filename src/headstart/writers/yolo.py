"""YOLO: data.yaml, images/<split>/ and labels/<split>/<name>.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from headstart.configuration import to_yaml
from headstart.types import Instance, SplitName
from headstart.writers.writer import Placed, Writer, lost, objects_of


class Yolo(Writer):
    """Boxes, or outlines, as shares of the picture."""

    shapes: Literal["boxes", "polygons"] = "boxes"
    """`polygons`: an object with a single outline is a line with its points, the others are boxes."""

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
        found = objects_of(images)
        bare = sum(image.sample.split is None for image in images)
        outlined = [bool(one.polygons) and not one.crowd and not self._as_outline(one) for one in found]
        boxed = [self._as_outline(one) and not one.crowd for one in found]
        return [*lost(images, "crowds are left out: a line would make each an object", [one.crowd for one in found]),
                *lost(images, "difficult is not kept", [one.difficult and not one.crowd for one in found]),
                *lost(images, "run-length masks are left out, boxes kept", [one.rle is not None for one in found]),
                *lost(images, "outlines are left out, boxes kept"
                      + ("" if self.shapes == "polygons" else "; --set writer.shapes=polygons keeps them"), outlined),
                *lost(images, "the box is that around the outline, where the data had one of its own", boxed),
                *([f"{bare} images have no split, and stand under train"] if bare else [])]

    def _as_outline(self, found: Instance) -> bool:
        return self.shapes == "polygons" and len(found.polygons) == 1

    def _line(self, found: Instance, size: tuple[int, int]) -> str:
        height, width = size
        left, top, right, bottom = found.box
        shares = [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                  (bottom - top) / height]
        if self._as_outline(found):
            shares = [edge / (height if place % 2 else width) for place, edge in enumerate(found.polygons[0])]
        return " ".join([str(found.label), *(f"{share:.10f}".rstrip("0").rstrip(".") for share in shares)])
