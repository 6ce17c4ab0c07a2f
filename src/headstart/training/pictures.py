"""Pictures: every image of a split decoded once before training, and kept small in memory as far as it fits."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from headstart import seeds
from headstart.data.augment import Augment, Policy, Preset, reduced
from headstart.data.dataset import Dataset
from headstart.data.transforms import Preprocessing, to_tensor
from headstart.errors import DataError, listed
from headstart.events import Listen, Progress, Started
from headstart.images import decode

SHARE = 0.25
"""Part of the free memory that pictures may take."""

Item = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""image uint8 [C, size, size], target, weight, position in the split."""


class Pictures:
    """The reduced pictures of a split, uint8 [H, W, C] each; what does not fit the budget is decoded again."""

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing, *, budget: float) -> None:
        self.dataset = dataset
        self.preprocessing = preprocessing
        self.budget = budget
        self._kept: list[np.ndarray | None] = [None] * len(dataset)
        self.used: int | None = None
        """Bytes kept; None before `load`."""

    def load(self, *, step: str, listen: Listen, check: Callable[[], None]) -> int:
        """Decode every file once, in threads, and return the bytes kept; a second call finds it done.

        Raises DataError naming all files that can't be read: none of them ends a run in the middle of an epoch.
        check: called now and then; raises if the user asked to stop.
        """
        if self.used is not None:
            return self.used
        listen(Started(step, len(self.dataset), "images"))
        broken: list[str] = []
        used = 0
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            # In slices: `map` over all would decode far ahead of what the budget lets us keep.
            for start in range(0, len(self.dataset), 64):
                check()
                positions = range(start, min(start + 64, len(self.dataset)))
                for position, picture in zip(positions, pool.map(self._try, positions), strict=True):
                    if isinstance(picture, DataError):
                        broken.append(str(picture))
                    elif used + picture.nbytes <= self.budget:
                        used += picture.nbytes
                        self._kept[position] = picture
                listen(Progress(step, positions[-1] + 1))
        if broken:
            raise unreadable(broken, len(self.dataset))
        self.used = used
        return used

    def __getitem__(self, position: int) -> np.ndarray:
        kept = self._kept[position]
        return self._decode(position) if kept is None else kept

    def _decode(self, position: int) -> np.ndarray:
        settings = self.preprocessing
        return self._reduced(position, decode(self.dataset.samples[position].source, channels=settings.channels,
                                              background=settings.background))

    def _reduced(self, position: int, picture: np.ndarray) -> np.ndarray:
        """Return what is kept of the decoded picture, uint8 [H, W, C]."""
        return reduced(self.preprocessing, picture)

    def _try(self, position: int) -> np.ndarray | DataError:
        try:
            return self._decode(position)
        except DataError as error:
            return error


class TrainImages(TorchDataset[Item]):
    """Augmented images by (occasion, index), as `Order` names them: the same for any number of workers."""

    def __init__(self, pictures: Pictures, weights: np.ndarray, *, preset: Preset, policy: Policy = "preset",
                 erasing: float | None = None, level: int = 0, seed: int) -> None:
        self.pictures = pictures
        self.targets = torch.from_numpy(pictures.dataset.labels())
        self.weights = torch.from_numpy(weights)
        self.augment = Augment(preset, pictures.preprocessing, policy=policy, erasing=erasing, level=level)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        occasion, index = key
        image = self.augment(self.pictures[index], seed=seeds.derive(self.seed, "augment", occasion, index))
        return image, self.targets[index], self.weights[index], torch.tensor(index)


class ValImages(TorchDataset[Item]):
    """Exactly what `Preprocessing` gives, in the order of the split."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.targets = torch.from_numpy(pictures.dataset.labels())
        self.weights = torch.from_numpy(pictures.dataset.weights())

    def __len__(self) -> int:
        return len(self.pictures.dataset)

    def __getitem__(self, index: int) -> Item:
        image = to_tensor(self.pictures.preprocessing.arrange(self.pictures[index]))
        return image, self.targets[index], self.weights[index], torch.tensor(index)


def unreadable(broken: list[str], count: int) -> DataError:
    """Return the error that names the pictures which can't be read, of so many."""
    return DataError(f"{len(broken)} of {count} images can't be read:\n{listed(broken)}\n"
                     "Repair them, or leave them out with `--set skip_bad=true` (adapt: `--skip-bad`).")


def free_memory() -> float:
    """Return the bytes that can be taken without swapping, as the system and its control group say."""
    page = os.sysconf("SC_PAGE_SIZE")
    free = float(os.sysconf("SC_AVPHYS_PAGES") * page)
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = float(fields["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, float(limit.read_text()) - float(used.read_text()))
    return free
