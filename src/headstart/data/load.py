"""load_data: find the format of the user's data, read them, and refuse what nothing can be learnt from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.catalog import Catalog
from headstart.data.dataset import Dataset
from headstart.errors import ConfigError, DataError, listed, nearest
from headstart.readers.reader import Reader

TASKS = ("classification", "multilabel", "detection", "semantic")
FOREIGN = {".h5": "an HDF5 file", ".hdf5": "an HDF5 file", ".npz": "a NumPy archive", ".npy": "a NumPy array",
           ".zip": "an archive", ".tar": "an archive", ".gz": "an archive", ".7z": "an archive",
           ".mat": "a MATLAB file", ".xlsx": "a spreadsheet", ".xls": "a spreadsheet", ".tfrecord": "a TFRecord file",
           ".pkl": "a pickle"}
ADVICE = {"an archive": "Unpack it and point at the folder.", "a spreadsheet": "Save it as CSV.",
          "a pickle": "Headstart never opens pickles: they can run code. Save the images as files."}


def load_data(data: object, *, format: str | None = None, settings: Mapping[str, Any] | None = None,
              task: str | None = None, skip_bad: bool = False) -> Dataset:
    """Return the data set at a path, or from an object of a library that a reader knows, fit to learn from.

    data: folder, table file, folder written by `datasets`, or a `datasets.Dataset`; a `Dataset` of ours comes back.
    format: name of a file in `readers/`; None asks every reader whether it knows the data.
    settings: fields of the reader, such as {"label": "species"}.
    task: `classification`, `multilabel`, `detection` or `semantic`; None lets the reader infer it.
    skip_bad: let images that do not exist pass, for the check to leave them out.
    Raises ConfigError where format, settings or task are wrong or ambiguous, DataError where the data are.
    """
    dataset = read_data(data, format=format, settings=settings, task=task, skip_bad=skip_bad)
    if dataset is not data:
        require_learnable(dataset)
    return dataset


def read_data(data: object, *, format: str | None = None, settings: Mapping[str, Any] | None = None,
              task: str | None = None, skip_bad: bool = False) -> Dataset:
    """Return the same of data that need not teach all by themselves: one class or image will do. As `load_data`."""
    if isinstance(data, Dataset):
        return data
    if task is not None and task not in TASKS:
        raise ConfigError(f'unknown task "{task}".' + nearest(task, TASKS))
    readers: Catalog[Reader] = Catalog("readers", Reader)  # type: ignore[type-abstract]
    values = dict(settings or {})
    if isinstance(data, str | os.PathLike):
        path = os.path.expanduser(os.fspath(data))
        _require_there(path)
        part = _able(readers.get(format or format_of(path, task)), task, readers)
        if skip_bad and "missing" in part.model_fields:
            values.setdefault("missing", "keep")
        dataset = part.parse(values, where="reader").read(path, task=task)
    else:
        found = next((part for part in readers.all().values() if part.claims_object(data)), None)
        if found is None:
            raise ConfigError(f"can't read data from a {type(data).__name__}. Give a path, or a datasets.Dataset.")
        dataset = _able(found, task, readers).parse(values, where="reader").read_object(data, task=task)
    if not dataset.samples:
        raise DataError(f"{_place(dataset)}: holds no labelled image.")
    return _with_notes(dataset)


def require_learnable(dataset: Dataset) -> None:
    """Raise DataError for no or one class, a class without an image, or one that only val or test has."""
    where = _place(dataset)
    require_objects(dataset, where, "Images without objects count, but some must have one.")
    by_class = _by_class(dataset)
    least = 1 if dataset.several else 2
    if len(dataset.classes) < least or len(dataset) < 2:
        raise DataError(f"{where}: needs at least {least} classes and 2 images, found {len(dataset)} images of: "
                        f"[{', '.join(dataset.classes)}]. Add images of what the class is to be told from.")
    everywhere = sum(by_class.values(), Counter[int]())
    empty = [name for label, name in enumerate(dataset.classes) if not everywhere[label]]
    if empty:
        raise DataError(f"{where}: {len(empty)} of {len(dataset.classes)} classes have no image: {', '.join(empty)}.\n"
                        "Add images, or remove the empty folder or name.")
    _require_train_classes(dataset, by_class, where)


def require_objects(dataset: Dataset, where: str, advice: str) -> None:
    """Raise DataError for images with boxes of which none has one."""
    if dataset.task == "detection" and not any(sample.objects for sample in dataset.samples):
        raise DataError(f"{where}: none of its {len(dataset)} images has an object. Is this the folder with the "
                        f"annotations? {advice}")


def _place(dataset: Dataset) -> str:
    return str(dataset.root or dataset.format)


def _by_class(dataset: Dataset) -> dict[str | None, Counter[int]]:
    """Return the images of each class, by split."""
    return {split: _count(dataset, split) for split in (None, "train", "val", "test")}


def _count(dataset: Dataset, split: str | None) -> Counter[int]:
    labels = [sample.label for sample in dataset.samples if sample.split == split]
    return Counter(one for label in labels for one in (label if isinstance(label, tuple) else (label,))
                   if one is not None)


def _require_train_classes(dataset: Dataset, by_class: Mapping[str | None, Counter[int]], where: str) -> None:
    """Refuse classes that validation or test knows and training does not, listing both sides."""
    if not any(by_class[split] for split in ("train", "val", "test")):
        return
    for split in ("val", "test"):
        strange = [dataset.classes[label] for label in sorted(by_class[split]) if not by_class["train"][label]]
        if strange:
            known = [dataset.classes[label] for label in sorted(by_class["train"])]
            raise DataError(f"{where}: {len(strange)} classes have images in {split} and none in train.\n"
                            f"only in {split}: {', '.join(strange)}\nin train: {', '.join(known) or 'none'}\n"
                            "Rename the folders or labels that mean the same, move images to train, or remove these.")


def _with_notes(dataset: Dataset) -> Dataset:
    """Add in words what was inferred."""
    by_class = _by_class(dataset)
    names = ", ".join(dataset.classes[:10]) + (", ..." if len(dataset.classes) > 10 else "")
    notes = [f"{dataset.root or 'data'}: {len(dataset)} images, {len(dataset.classes)} classes ({names}), "
             f"format {dataset.format}, task {dataset.task}"]
    splits = Counter(sample.split for sample in dataset.samples if sample.split)
    if splits:
        notes.append("splits as given: " + ", ".join(f"{s} {splits[s]}" for s in ("train", "val", "test") if splits[s]))
    absent = {split: [dataset.classes[label] for label in sorted(by_class["train"]) if not by_class[split][label]]
              for split in ("val", "test") if splits[split]}  # type: ignore[index]
    notes += [f"classes without an image in {split}, so that nothing is known of them there: {', '.join(missing)}"
              for split, missing in absent.items() if missing]
    if dataset.ignored:
        notes.append(f"{len(dataset.ignored)} files or folders left aside:\n{listed(dataset.ignored)}")
    return replace(dataset, notes=(*notes, *dataset.notes))


def _require_there(path: str) -> None:
    place = Path(path)
    if not place.exists():
        siblings = [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []
        raise ConfigError(f"{path}: no such file or folder." + (nearest(place.name, siblings) if siblings else ""))


def _able(part: type[Reader], task: str | None, readers: Catalog[Reader]) -> type[Reader]:
    """Return the reader. Raises ConfigError where its format has no labels for the task."""
    if task is not None and task not in part.tasks:
        others = [name for name, other in readers.all().items() if task in other.tasks]
        raise ConfigError(f"the format {part.part_name} has no labels for {task}, only for {' and '.join(part.tasks)}. "
                          f"Formats that have: {', '.join(others)} (--format).")
    return part


def format_of(path: str, task: str | None = None) -> str:
    """Return the name of the one reader that claims the path.

    A reader of annotations claims only what has some of its kind; a reader that claims any folder steps back for it,
    and one of whole images for one of masks. Where a task is asked for, those that are made for it come first.
    Raises ConfigError where several claim it or nothing is there, DataError where none does.
    """
    path = os.path.expanduser(path)
    _require_there(path)
    place = Path(path)
    readers: Catalog[Reader] = Catalog("readers", Reader)  # type: ignore[type-abstract]
    claimed = {name: part for name, part in readers.all().items() if part.claims(path)}
    able = {name: part for name, part in claimed.items() if task is None or task in part.tasks}
    able = {name: part for name, part in able.items() if part.tasks[0] == task} or able
    marked = {name: part for name, part in able.items() if "classification" not in part.tasks}
    surest = {name: part for name, part in marked.items() if not part.any_folder} or marked
    claims = [name for name, part in able.items() if name in surest or not (surest and part.any_folder)]
    if len(claims) == 1:
        return claims[0]
    if claims:
        raise ConfigError(f"{path}: could be read as {' or as '.join(claims)}. Say which: "
                          + " or ".join(f"--format {name}" for name in claims) + ", or point at the file itself.")
    if claimed:
        if place.is_dir() and not any(place.iterdir()):
            raise DataError(f"{path}: no image in this folder (it is empty). Point at the folder with the data.")
        # It says why it can't do the task: the one that knows its files by more than their being images.
        return min(claimed, key=lambda name: claimed[name].any_folder)
    what = FOREIGN.get(place.suffix.lower(), "a file of an unknown kind" if place.is_file() else "an unknown layout")
    raise DataError(f"{path}: is {what}, which Headstart does not read. It reads: {', '.join(readers.names())}. "
                    + ADVICE.get(what, "Save the images as PNG files in one folder for each class."))
