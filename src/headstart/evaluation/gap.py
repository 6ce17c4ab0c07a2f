"""Gap: the verdict on a fit without epochs, from the metric on train and validation."""

from __future__ import annotations

import math

from headstart.evaluation.intervals import Interval
from headstart.metrics.registry import metric
from headstart.training.watch import GAP, Watch, number_or_none, word


def watch_gap(train: Interval, val: Interval, *, monitor: str, test: Interval | None = None) -> Watch:
    """Return the verdict on a fit without epochs, such as a probe, from the monitored metric on each split."""
    sign = 1 if metric(monitor).higher_is_better else -1
    gap = sign * (train.value - val.value)
    numbers = {"train": number_or_none(train.value), "val": number_or_none(val.value), "gap": number_or_none(gap)}
    words = f"{word(monitor)} is {train.value:.3f} on train and {val.value:.3f} on validation"
    if test is not None:
        numbers["test"] = number_or_none(test.value)
        words += f" ({test.value:.3f} on test)"
    if math.isnan(gap):
        return Watch("too_short", f"{word(monitor)} is undefined on train or validation, so the fit can't be judged.",
                     numbers, ("Give each split images of every class.",))
    inside = min(val.low, val.high) <= train.value <= max(val.low, val.high)
    if gap > GAP and not inside:
        return Watch("overfitting", f"{words}: a gap of {gap:.3f}. It knows the training images by heart and says less "
                     "of new ones; the validation value is the honest one.", numbers,
                     ("Set a stronger penalty (l2), or add images.",
                      "Try a backbone that was trained on pictures more like these."))
    return Watch("healthy", f"{words}: the gap of {gap:.3f} is no more than small splits show by chance."
                 if inside else f"{words}: a small gap of {gap:.3f}.", numbers)
