"""BatchNorm's statistics, taken anew from the training images, and the head that goes with them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Container, Iterable

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from headstart.backbones.backbone import Backbone
from headstart.canvas import on_canvas
from headstart.data.dataset import Dataset
from headstart.data.transforms import to_tensor
from headstart.detectors.head import DetectionHead
from headstart.errors import DataError
from headstart.events import Note
from headstart.features.eager import Eager
from headstart.logistic import PENALTIES, fit_path, likeliest
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training.imbalance import train_weights
from headstart.training.monitor import Monitor
from headstart.training.order import Order
from headstart.training.pictures import SHARE, Pictures, free_memory
from headstart.training.plan import Plan
from headstart.training.whole_pictures import WholePictures

# B images

BATCH = 32
"""Images whose statistics are one sample of the mean over batches."""
WHOLE = 8
"""The same of whole pictures, whose places are many."""


def adapted(model: Model, plan: Plan, train: Pictures, val: Pictures, context: Context) -> Model:
    """Return `model` with the statistics of the training images as they are, not augmented, and a head solved anew.

    The head is the probe's: logistic regression on the new features, its penalty by the log loss on validation. One
    that was solved on the old features would send large gradients through the backbone.
    Raises DataError where there is but one image, or a feature is not finite.
    """
    backbone = copy.deepcopy(model.backbone).to(context.device)
    layers = take_statistics(backbone, train, context)
    backbone = backbone.cpu()
    if not layers:
        context.listen(Note(f"{plan.part_name}: batch_norm=adapt has no effect, there is no BatchNorm"))
        return model
    start = dataclasses.replace(model, backbone=backbone)
    features, held_out = (_features(start, part, device=context.device) for part in (train, val))
    start = dataclasses.replace(start, head=_solved(start, plan, train.dataset, val.dataset, features, held_out))
    name = plan.monitor or model.task.monitor
    before = _judged(model, name, val.dataset, _features(model, val, device=context.device))
    after = _judged(start, name, val.dataset, held_out)
    worse = Monitor(name, model.answers, len(model.classes)).better((before, 0.0), (after, 0.0))
    context.listen(Note(f"{plan.part_name}: {layers} BatchNorm layers took the statistics of the training images, and "
                        f"the head was solved anew on what they give: {name} {after:.3f} on validation, {before:.3f} "
                        "before" + (". batch_norm=frozen begins better here" if worse else ""),
                        "warning" if worse else "info"))
    return start


def _features(model: Model, pictures: Pictures, *, device: str) -> np.ndarray:
    engine = Eager(model.backbone, model.preprocessing, device=device)
    return np.concatenate([engine.pooled(_arranged(pictures, rows.tolist()))
                           for rows in torch.arange(len(pictures.dataset)).split(BATCH)])


def _judged(model: Model, name: str, val: Dataset, features: np.ndarray) -> float:
    logits = torch.from_numpy(model.logits_of(features))
    labels, weights = torch.from_numpy(val.labels()), torch.from_numpy(val.weights())
    return Monitor(name, model.answers, len(model.classes)).judged(logits, labels, weights, _loss(model, logits, val))


def _loss(model: Model, logits: torch.Tensor, val: Dataset) -> float:
    return float(np.average(model.answers.loss(logits, torch.from_numpy(val.labels())).numpy(), weights=val.weights()))


def _solved(model: Model, plan: Plan, train: Dataset, val: Dataset, features: np.ndarray,
            held_out: np.ndarray) -> nn.Module:
    labels = train.labels()
    if labels.ndim == 1 and len(np.unique(labels)) < 2:
        return model.head  # nothing to tell apart
    if not (np.isfinite(features).all() and np.isfinite(held_out).all()):
        raise DataError(f"{plan.part_name}: with the statistics of the training images some features are NaN or "
                        "infinite. Take batch_norm=frozen, or look for broken images with `headstart check`.")
    # A balanced draw has no part in this fit: the classes are balanced by weights instead.
    balance = "balanced" if plan.sampling == "balanced" else plan.class_weights
    path = fit_path(features, labels, classes=len(model.classes), penalties=PENALTIES,
                    weights=train_weights(train, balance).astype(np.float64))
    return likeliest(path, lambda fit: _loss(model, torch.from_numpy(fit.logits(held_out)), val)).head()


def _arranged(pictures: Pictures, rows: list[int]) -> np.ndarray:
    return np.stack([pictures.preprocessing.arrange(pictures[row]) for row in rows])


def restated(model: Model, part: Dataset, context: Context) -> Model:
    """Return the model whose BatchNorm has the statistics of these images; a copy where there is no BatchNorm."""
    backbone = copy.deepcopy(model.backbone).to(context.device)
    take_statistics(backbone, Pictures(part, model.preprocessing, budget=SHARE * free_memory()), context)
    return dataclasses.replace(model, backbone=backbone.cpu(), temperature=1.0)


def restated_whole(model: Model, pictures: WholePictures, context: Context) -> Model:
    """Return the same for whole pictures, decoded before, with the head's; those of one size go together as far as they
    can.
    """
    whole = _Whole(copy.deepcopy(model.backbone), copy.deepcopy(model.head)).to(context.device)
    order = Order(len(pictures.dataset), WHOLE, 1, seed=context.seed, drop_single=True).grouped(pictures.aspects())
    adapt_statistics(whole, (on_canvas([to_tensor(pictures[index]).to(context.device) for _, index in batch],
                                       pictures.preprocessing) for batch in order))
    whole.cpu()
    return dataclasses.replace(model, backbone=whole.backbone, head=whole.head, temperature=1.0)


class _Whole(nn.Module):
    """All that a picture passes through until boxes or masks come of it."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> None:
        """Answer, and forget the answer."""
        answer = self.head.detect if isinstance(self.head, DetectionHead) else self.head
        answer(self.backbone.maps(images), images)


def take_statistics(backbone: nn.Module, pictures: Pictures, context: Context, *,
                    names: Container[str] | None = None) -> int:
    """Give BatchNorms the statistics of the pictures as they are, in an order that the seed decides; see below."""
    order = Order(len(pictures.dataset), BATCH, 1, seed=context.seed, drop_single=True)
    arranged = (_arranged(pictures, [index for _, index in batch]) for batch in order)
    return adapt_statistics(backbone, (pictures.preprocessing.normalise(
        torch.from_numpy(pixels).to(context.device).permute(0, 3, 1, 2)) for pixels in arranged), names=names)


def norms_of(network: nn.Module) -> dict[str, _BatchNorm]:
    """Return every BatchNorm that keeps statistics, by name."""
    return {name: module for name, module in network.named_modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats}


def adapt_statistics(network: nn.Module, batches: Iterable[torch.Tensor], *,
                     names: Container[str] | None = None) -> int:
    """Give every BatchNorm, or those of these names, the mean of its batches' means and variances; return how many.

    batches: float32 [B, channels, H, W], preprocessed; each counts the same, those of one image not at all.
    No weight changes, nor the statistics of what no batch passes through; dropout and drop path rest, and all modules
    are in eval mode afterwards.
    Raises DataError where no batch has two images. Source: Li et al., "Revisiting Batch Normalization For Practical
    Domain Adaptation" (AdaBN), 2016.
    """
    norms = [norm for name, norm in norms_of(network).items() if names is None or name in names]
    network.eval()
    if not norms:
        return 0
    before = [(norm.momentum, copy.deepcopy(norm.state_dict())) for norm in norms]
    hooks = [norm.register_forward_pre_hook(_move) for norm in norms]
    taken = 0
    try:
        with torch.no_grad():
            for images in batches:
                if len(images) < 2:
                    continue
                if not taken:
                    _begin(norms)
                network(images)
                taken += 1
    finally:
        for hook in hooks:
            hook.remove()
        for norm, (momentum, state) in zip(norms, before, strict=True):
            norm.momentum = momentum
            if not norm.num_batches_tracked:
                norm.load_state_dict(state)
        network.eval()
    if not taken:
        raise DataError("batch_norm=adapt takes BatchNorm's statistics from batches of the training images, and none "
                        "has two images. Give more images, or take batch_norm=frozen.")
    return len(norms)


def _begin(norms: list[_BatchNorm]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches


def _move(norm: nn.Module, given: tuple[torch.Tensor]) -> None:
    """Let a norm move, but for what it is given of a batch in which no object was found."""
    norm.training = len(given[0]) > 0  # this module alone: what stands inside of timm's fused ones keeps resting
