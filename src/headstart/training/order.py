"""Order: which samples make which batch, as a function of seed and step alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from headstart import seeds


class Order(Sampler[list[tuple[int, int]]]):
    """The batches of a whole training, epoch after epoch, as lists of (occasion, index); `skip` leaves out the first.

    Lightning's own resume replays the shuffle of epoch 0; this order depends on no generator's position.
    occasion: the epoch, plus `epochs` for each time that the epoch has drawn the sample before: no two occasions of a
    sample are the same, so that its augmentation can differ.
    drop_single: leave out a last batch of one image, on which BatchNorm in training can't work.
    probabilities: float64 [count], summing to 1: each epoch draws `count` samples with replacement; None takes each
    sample once.
    groups: int64 [count], numbers of which neighbours are alike: batches hold samples of one group as far as possible.
    """

    def __init__(self, count: int, batch_size: int, epochs: int, *, seed: int, skip: int = 0, drop_single: bool = False,
                 probabilities: np.ndarray | None = None, groups: np.ndarray | None = None) -> None:
        self.count = count
        self.batch_size = batch_size
        self.epochs = epochs
        self.seed = seed
        self.skip = skip
        self.drop_single = drop_single
        self.probabilities = probabilities
        self.groups = groups
        self.dropped = drop_single and count % batch_size == 1 and count > batch_size
        """Whether each epoch leaves out its last image."""
        self.steps = -(-count // batch_size) - self.dropped

    def after(self, step: int) -> Order:
        """Return the same order without its first `step` batches."""
        other = copy.copy(self)
        other.skip = step
        return other

    def grouped(self, groups: np.ndarray | None) -> Order:
        """Return an order of the same samples, in batches of samples that are alike; with None, of any."""
        other = copy.copy(self)
        other.groups = groups
        return other

    @property
    def total(self) -> int:
        """Number of batches of all epochs."""
        return self.steps * self.epochs

    def indices(self, epoch: int) -> np.ndarray:
        """Return int64 [count], the samples of `epoch` in their order."""
        rng = seeds.generator(self.seed, "order", epoch)
        drawn = rng.permutation(self.count) if self.probabilities is None else rng.choice(
            self.count, size=self.count, p=self.probabilities)
        return drawn if self.groups is None else by_group(drawn, self.groups, self.batch_size, rng)

    def __len__(self) -> int:
        return max(0, self.total - self.skip)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        indices = occasions = np.empty(0, np.int64)
        current = -1
        for step in range(self.skip, self.total):
            epoch, position = divmod(step, self.steps)
            if epoch != current:
                indices, current = self.indices(epoch), epoch
                occasions = epoch + self.epochs * earlier(indices)
            batch = slice(position * self.batch_size, (position + 1) * self.batch_size)
            yield list(zip(occasions[batch].tolist(), indices[batch].tolist(), strict=True))


def by_group(drawn: np.ndarray, groups: np.ndarray, batch_size: int, rng: np.random.Generator) -> np.ndarray:
    """Return the samples of `drawn` [N], each as often as there, so that slices of `batch_size` are alike.

    First come whole batches of one group, in the order of `drawn`. What is left over of the groups is put together,
    neighbours next to each other, and cut into batches, too. The batches are shuffled, and the one that is short, cut
    from a random place of the left-over, is the last: it is no group's fate to be in it.
    The idea is that of torchvision's references for detection (GroupedBatchSampler), which repeats samples instead.
    """
    members = [drawn[groups[drawn] == group] for group in np.unique(groups[drawn])]
    whole = [len(part) // batch_size * batch_size for part in members]
    batches = [batch for part, end in zip(members, whole, strict=True)
               for batch in part[:end].reshape(-1, batch_size)]
    rest = np.concatenate([part[end:] for part, end in zip(members, whole, strict=True)])
    short = len(rest) % batch_size
    start = int(rng.integers(len(rest) - short + 1))
    last, others = rest[start:start + short], np.concatenate([rest[:start], rest[start + short:]])
    batches += list(others.reshape(-1, batch_size))
    return np.concatenate([*(batches[number] for number in rng.permutation(len(batches))), last])


def earlier(values: np.ndarray) -> np.ndarray:
    """Return int64 [N], how often each value has come before in `values` [N]."""
    by_value = np.argsort(values, kind="stable")
    ordered = values[by_value]
    first = np.searchsorted(ordered, ordered, side="left")
    result = np.empty(len(values), np.int64)
    result[by_value] = np.arange(len(values)) - first
    return result
