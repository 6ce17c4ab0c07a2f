"""Box findings: what the check says of the objects of a detection data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from headstart.data.balance import UNBALANCED
from headstart.data.boxes import LEAST_LEFT, Fault, mend_box
from headstart.data.dataset import Dataset
from headstart.data.findings import Finding, counted
from headstart.data.measurements import Measured
from headstart.types import Instance, Sample

MANY = 0.05
"""Share of faulty boxes, or of wrongly recorded sizes, from which the numbers must mean something else."""
LONG = 20
"""Longer over shorter side that few objects have."""
SMALL = 8
"""Pixels of the shorter side, in the picture as the model gets it, under which detectors find little."""
INPUT_SIZE = 320
"""Pixels of the longer side of the picture as the model gets it, unless said."""

Placed = tuple[Measured, Instance]


def box_findings(dataset: Dataset, images: Sequence[Measured], *, input_size: int = INPUT_SIZE,
                 slice_size: int | None = None) -> list[Finding]:
    """Return the findings on boxes. images: the readable ones, with the boxes as they were read.

    slice_size: pixels of the parts that pictures are cut into before they are brought to `input_size`, if they are.
    """
    known = range(len(dataset.classes))
    objects = [(image, found) for image in images for found in image.sample.objects or ()]
    sound = [(image, found) for image, found in objects if found.label in known]
    fates = [(image, found, *mend_box(found.box, (image.height, image.width))) for image, found in sound]
    by_fault: dict[Fault, list[str]] = {"clipped": [], "outside": [], "swapped": [], "degenerate": []}
    for image, found, _, fault in fates:
        if fault:
            by_fault[fault].append(_title(dataset, image.sample, found))
    whole = [(image, found) for image, found, box, _ in fates if box is not None]
    single = [(image, found) for image, found in whole if not found.crowd]
    return [
        *_unknown([(image, found) for image, found in objects if found.label not in known], len(objects)),
        _outside(by_fault["clipped"], by_fault["outside"], len(objects)),
        _fault("box_swapped", by_fault["swapped"], "No box has swapped corners", "with swapped corners (right of left, "
               "or bottom above top); they are left out", "Swap the numbers in the file."),
        _fault("box_degenerate", by_fault["degenerate"], "Every box has an area", "without an area (a side of less "
               "than a pixel, or a single pixel); they are left out", "Mark these objects again, or remove the boxes."),
        _duplicated(dataset, single), _aspect(dataset, single), _small(dataset, single, input_size, slice_size),
        _sizes(images), _turned(images), _negatives(images, whole), *_balance(dataset, whole)]


def _title(dataset: Dataset, sample: Sample, found: Instance) -> str:
    edges = ", ".join(f"{edge:g}" for edge in found.box)
    return f"{sample.where or sample.id}: {dataset.classes[found.label]} ({edges})"


def _fault(kind: str, items: Sequence[str], fine: str, what: str, advice: str) -> Finding:
    if not items:
        return Finding(kind=kind, level="ok", text=f"{fine}.")
    return Finding(kind=kind, level="warning", items=tuple(items), count=len(items), advice=advice,
                   text=f"{_boxes(len(items))} {what}.")


def _boxes(count: int) -> str:
    return "1 box" if count == 1 else f"{count} boxes"


def _unknown(strange: Sequence[Placed], total: int) -> list[Finding]:
    if not strange:
        return []
    items = tuple(f"{image.sample.where or image.sample.id}: class index {found.label}" for image, found in strange)
    return [Finding(kind="class_unknown", level="error", items=items, count=len(items),
                    text=f"{_boxes(len(items))} of {total} have a class that is none of the data.",
                    advice="Give each object the index of one of the classes.")]


def _outside(clipped: Sequence[str], dropped: Sequence[str], total: int) -> Finding:
    items = (*(f"{item}, left out" for item in dropped), *clipped)
    if not items:
        return Finding(kind="box_outside", level="ok", text="No box reaches out of its image.")
    many = len(items) > MANY * total
    text = (f"{len(items)} of {total} boxes reach out of their image ({len(items) / total:.1%}): {len(clipped)} are "
            f"clipped, {len(dropped)} of which less than {LEAST_LEFT:.0%} lies inside are left out.")
    advice = ("So many that the numbers may mean something else: left, top, right, bottom where left, top, width, "
              "height were read, or the other way round (xyxy vs xywh?), or pixels of an image of another size."
              if many else "Look at them on the sheet (--sheet).")
    return Finding(kind="box_outside", level="error" if many else "warning", items=items, count=len(items), text=text,
                   advice=advice)


def _duplicated(dataset: Dataset, objects: Sequence[Placed]) -> Finding:
    seen: set[tuple[str, int, tuple[float, ...]]] = set()
    items = []
    for image, found in objects:
        key = image.sample.id, found.label, tuple(round(edge, 2) for edge in found.box)
        if key in seen:
            items.append(_title(dataset, image.sample, found))
        seen.add(key)
    return _fault("box_duplicated", items, "No object is marked twice",
                  "marked twice: the same box and class in one image",
                  "Remove the second: it can't be found twice, and counts as missed.")


def _aspect(dataset: Dataset, objects: Sequence[Placed]) -> Finding:
    items = []
    for image, found in objects:
        left, top, right, bottom = found.box
        across, down = right - left, bottom - top
        if max(across, down) > LONG * min(across, down):
            items.append(_title(dataset, image.sample, found))
    return _fault("box_aspect", items, "No box is absurdly long",
                  f"absurdly long: more than {LONG} times as long as wide",
                  "Look at them on the sheet (--sheet): slips of the hand?")


def _small(dataset: Dataset, objects: Sequence[Placed], input_size: int, slice_size: int | None) -> Finding:
    items = []
    for image, found in objects:
        left, top, right, bottom = found.box
        longest = max(image.width, image.height)
        side = min(right - left, bottom - top) * input_size / min(longest, slice_size or longest)
        if side < SMALL:
            items.append(f"{_title(dataset, image.sample, found)}: {side:.1f} pixels")
    share = len(items) / max(1, len(objects))
    return _fault("box_small", items, f"No box is too small for an input of {input_size} pixels",
                  f"too small for an input of {input_size} pixels: a side of less than {SMALL} of them ({share:.1%})",
                  "Take a larger input (image_size), cut large images into parts (slices), or expect to miss them.")


def _recorded(images: Sequence[Measured]) -> list[tuple[Measured, tuple[int, int], bool]]:
    """Return the images whose annotation says another size, with that size, and whether the file as stored has it.

    Stored and upright differ where the camera was turned: EXIF orientation 5 to 8.
    """
    return [(image, said, image.info.orientation >= 5 and said == (image.width, image.height)) for image in images
            if (said := image.sample.annotated) and said != (image.height, image.width)]


def _sizes(images: Sequence[Measured]) -> Finding:
    wrong = [(image, said) for image, said, turned in _recorded(images) if not turned]
    if not wrong:
        return Finding(kind="image_size", level="ok", text="Every image has the size that its annotation says, if any.")
    items = tuple(f"{image.sample.where}: says {said[1]}x{said[0]}, {image.sample.id} has {image.width}x{image.height}"
                  for image, said in wrong)
    return Finding(kind="image_size", level="error" if len(items) > MANY * len(images) else "warning", items=items,
                   count=len(items), text=f"{counted(len(items), 'image')} of {len(images)} have another size than "
                   "their annotation says.",
                   advice="If the images were resized after they were marked, the boxes are wrong: resize these, too. "
                          "If only the record is wrong, mend it.")


def _turned(images: Sequence[Measured]) -> Finding:
    items = tuple(f"{image.sample.where}: says {said[1]}x{said[0]}, {image.sample.id} is {image.width}x{image.height} "
                  f"upright (EXIF orientation {image.info.orientation})"
                  for image, said, turned in _recorded(images) if turned)
    if not items:
        return Finding(kind="image_turned", level="ok", text="No image was marked lying on its side.")
    return Finding(kind="image_turned", level="error", items=items, count=len(items),
                   text=f"{counted(len(items), 'image')} were marked as stored, not upright as EXIF says.",
                   advice="Boxes would lie elsewhere: turn the pixels and drop the EXIF orientation before marking, or "
                          "turn the boxes.")


def _negatives(images: Sequence[Measured], whole: Sequence[Placed]) -> Finding:
    shown = {image.sample.id for image, _ in whole}
    items = tuple(image.sample.id for image in images if image.sample.id not in shown)
    if images and not shown:
        return Finding(kind="images_empty", level="error", items=items, count=len(items),
                       text="No image shows an object.", advice="Nothing can be learnt from these data. Are the "
                       "annotations those of these images?")
    text = f"{len(items)} of {len(images)} images show no object; they teach what is none." if items \
        else "Every image shows an object."
    return Finding(kind="images_empty", level="ok", items=items, count=len(items), text=text)


def _balance(dataset: Dataset, whole: Sequence[Placed]) -> list[Finding]:
    objects = Counter(found.label for _, found in whole)
    if not objects:
        return []
    images = Counter(chain.from_iterable({found.label for found in image.sample.objects or ()} for image in
                                         {image.sample.id: image for image, _ in whole}.values()))
    items = tuple(f"{name}: {objects[label]} objects in {images[label]} images"
                  for label, name in enumerate(dataset.classes))
    least, most = min(objects.values()), max(objects.values())
    text = f"{sum(objects.values())} objects, from {least} to {most} of a class; {most / least:.1f} to 1."
    if most < UNBALANCED * least:
        return [Finding(kind="object_balance", level="ok", text=text, items=items, count=len(items))]
    return [Finding(kind="object_balance", level="warning", text=text, items=items, count=len(items),
                    advice="Read the AP of each class: the mean hides a rare one that is never found.")]
