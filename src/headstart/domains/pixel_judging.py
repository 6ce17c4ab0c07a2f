"""Pixel judging: the guard against ending worse than one began, for what tells the class of each pixel."""

from __future__ import annotations

from headstart.data.dataset import Splits
from headstart.domains.judging import better
from headstart.domains.pixel_sample import PixelSample
from headstart.methods.method import Context
from headstart.model import Model

GUARD = "reverse_validation"
"""The validator that judges segmenters where none is named. Neighbour agreement, a half of `consistency`, likes answers
that are the same all over a picture: on dusk views of CamVid it held a teacher for better that had lost 0.05 of mean
IoU, which the way back to the source's masks saw (0.70 before, 0.63 after)."""


def keep_better_pixels(name: str, start: Model, adapted: Model, splits: Splits, context: Context, *, guard: str,
                       from_answers: bool = False) -> Model:
    """Return the adapted segmenter, or the start where the guard holds that for better.

    Arguments as for `judging.keep_better`. Both are judged at the same pixels and by the start's features.
    Raises as `PixelSample`.
    """
    sample = PixelSample(start, splits, context)
    before, after = (sample.evidence_of(model, context.device) for model in (start, adapted))
    return better(name, (start, adapted), (before, after), context, guard=guard, from_answers=from_answers,
                  what="pixels")
