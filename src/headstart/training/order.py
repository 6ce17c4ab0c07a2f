"""Order: which samples make which batch, as a function of seed and step alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from headstart import seeds


class Order(Sampler[list[tuple[int, int]]]):
    """The batches of a whole training, epoch after epoch, as lists of (epoch, index); `skip` leaves out the first.

    Lightning's own resume replays the shuffle of epoch 0; this order depends on no generator's position.
    drop_single: leave out a last batch of one image, on which BatchNorm in training can't work.
    """

    def __init__(self, count: int, batch_size: int, epochs: int, *, seed: int, skip: int = 0,
                 drop_single: bool = False) -> None:
        self.count = count
        self.batch_size = batch_size
        self.epochs = epochs
        self.seed = seed
        self.skip = skip
        self.drop_single = drop_single
        self.dropped = drop_single and count % batch_size == 1 and count > batch_size
        """Whether each epoch leaves out its last image."""
        self.steps = -(-count // batch_size) - self.dropped

    def after(self, step: int) -> Order:
        """Return the same order without its first `step` batches."""
        return Order(self.count, self.batch_size, self.epochs, seed=self.seed, skip=step,
                     drop_single=self.drop_single)

    @property
    def total(self) -> int:
        """Number of batches of all epochs."""
        return self.steps * self.epochs

    def permutation(self, epoch: int) -> np.ndarray:
        """Return int64 [count], the order of the samples in `epoch`."""
        return seeds.generator(self.seed, "order", epoch).permutation(self.count)

    def __len__(self) -> int:
        return max(0, self.total - self.skip)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        permutation, current = np.empty(0, np.int64), -1
        for step in range(self.skip, self.total):
            epoch, position = divmod(step, self.steps)
            if epoch != current:
                permutation, current = self.permutation(epoch), epoch
            chosen = permutation[position * self.batch_size:(position + 1) * self.batch_size]
            yield [(epoch, int(index)) for index in chosen]
