"""Small sets of marked pictures in each format, written by hand and not by Headstart's writers."""

import json
from pathlib import Path
from typing import Any

from headstart.data.dataset import Dataset
from tests.pictures import picture

SIZE = (60, 40)
"""Width and height of every picture here."""


def pictures(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        picture(folder / name, seed=seed, size=SIZE)


def coco(root: Path, records: list[Any], *, categories: list[Any] | None = None,
         name: str = "annotations.json", **changes: Any) -> Path:
    """Write a COCO file with images 1, 2, ... beside it; categories 3 cat and 7 dog unless given."""
    pictures(root, *(f"{number}.png" for number in (1, 2)))
    value = {"images": [{"id": n, "file_name": f"{n}.png", "width": 60, "height": 40} for n in (1, 2)],
             "categories": categories or [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
             "annotations": records, **changes}
    (root / name).write_text(json.dumps(value))
    return root / name


def marked(number: int, image: int = 1, category: int = 3, box: Any = (10, 5, 20, 15), **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box), **more}


def voc_xml(objects: list[tuple[str, tuple[float, ...]]], *, name: str = "", size: tuple[int, int] = SIZE,
            extra: str = "") -> str:
    boxes = "".join(f"<object><name>{label}</name><difficult>0</difficult>{extra}<bndbox>" + "".join(
        f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)) +
        "</bndbox></object>" for label, box in objects)
    return (f"<annotation><filename>{name}</filename><size><width>{size[0]}</width><height>{size[1]}</height>"
            f"<depth>3</depth></size>{boxes}</annotation>")


def voc(root: Path, files: dict[str, str], sets: dict[str, str] | None = None) -> Path:
    for stem, text in files.items():
        pictures(root / "JPEGImages", f"{stem}.png")
        (root / "Annotations").mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    for name, text in (sets or {}).items():
        (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Main/{name}.txt").write_text(text)
    return root


def yolo(root: Path, labels: dict[str, str | None], data: str = "train: images\nnames: [cat, dog]\n") -> Path:
    """Write images/<name>.png, labels/<name>.txt where a text is given, and data.yaml."""
    for name, text in labels.items():
        pictures(root / "images", f"{name}.png")
        label = root / "labels" / f"{name}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            label.write_text(text)
    (root / "data.yaml").write_text(data)
    return root


def found(data: Dataset) -> dict[str, list[tuple[Any, ...]]]:
    """The class name and the box of each object, by image."""
    return {s.id: [(data.classes[o.label], *o.box) for o in s.objects or ()] for s in data.samples}
