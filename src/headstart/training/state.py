"""State: where a training stands. With the weights and the optimizer's moments it is all that resuming needs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Best:
    """The epoch whose weights are kept."""

    checkpoint: int
    """Serial number of the checkpoint that holds them."""
    epoch: int
    """0 is the start, before any step."""
    metric: float
    loss: float


@dataclass
class State:
    """Counters and running sums; the one thing in training that changes, besides the tensors."""

    step: int = 0
    """Optimizer steps done."""
    loss_sum: float = 0.0
    """Sum of weight x loss over this epoch's samples so far."""
    weight_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    """One row an epoch: the values of EpochEnded, with `epoch` (from 1) and `step`."""
    best: Best | None = None
    counted: tuple[float, float] = (math.nan, math.inf)
    """Metric and loss of the last epoch that counted as an improvement, which `min_delta` is measured from."""
    stale: int = 0
    """Epochs since the last improvement."""
    retries: int = 0
    """How often a non-finite number sent the training back; each time halves the learning rates."""
    micro_batch: int = 0
    """Images that go through the network at once; less than the batch after memory ran out."""
    halvings: int = 0
    """How often memory ran out, and the micro-batch was halved."""
    taken: int = 0
    """How many sets of weights the average is made of."""
    thawed: int | None = None
    """How many of the deepest stages are free so far; None where nothing waits to be unfrozen."""
    waiting: int = 0
    """Epochs without improvement since the last stage was freed."""
    found_rate: float = 1.0
    """Factor on the learning rates that the finder chose."""
    tried: dict[str, list[float]] | None = None
    """What the finder tried: `factors` and `losses`."""
    interventions: list[dict[str, float]] = field(default_factory=list)
    """Each time that the overfitting watch raised the regularisation: `epoch`, and the best `metric`, `loss` then."""
    finished: bool = False

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return len(self.history)

    @property
    def level(self) -> int:
        """How often the regularisation was raised."""
        return len(self.interventions)

    @property
    def rate(self) -> float:
        """Factor on the learning rates: what the finder chose, halved by each retry."""
        return self.found_rate * 0.5 ** self.retries

    def record(self) -> dict[str, Any]:
        """Return JSON values; floats survive exactly."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the state that `record` was made of."""
        best = record["best"]
        return cls(**{**record, "best": Best(**best) if best else None, "counted": tuple(record["counted"])})
