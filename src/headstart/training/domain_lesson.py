"""DomainLesson: a training on two domains, of which the second has no labels, judged by what validators say of it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader

from headstart.alignments.alignment import ALIGNMENTS, Pair, View
from headstart.data.dataset import Dataset, Splits
from headstart.domains.judging import even_rows, evenly, evidence_of, verdicts
from headstart.errors import ConfigError
from headstart.events import Judged
from headstart.methods.method import Context
from headstart.model import Model
from headstart.seeds import derive
from headstart.training.domain_pictures import PairedImages
from headstart.training.domain_plan import DomainPlan
from headstart.training.image_lesson import ImageLesson
from headstart.training.imbalance import train_weights
from headstart.training.lesson import Share
from headstart.training.loading import val_loader
from headstart.training.monitor import Chosen
from headstart.training.network import Network
from headstart.training.objective import Teaching
from headstart.training.partners import Partners
from headstart.training.pictures import SHARE, Pictures, ValImages, free_memory
from headstart.training.plan import Plan
from headstart.types import Batch
from headstart.validators.validator import USUAL

# B images in a batch, C classes, D features

PSEUDO = "pseudo"
"""The labels that the network gave the target's images itself, among what an alignment may need."""


@dataclass(frozen=True, slots=True)
class DomainBatch(Batch):
    """A batch of the source with as many images of the target."""

    partners: torch.Tensor
    """int64 [B], positions of the target's images."""
    views: tuple[torch.Tensor, ...]
    """float32 [B, channels, H, W], the target's images, then their strongly augmented view where one is needed."""


class DomainLesson(ImageLesson):
    """The source's loss plus the alignments'."""

    unused = ("mask_losses", "monitor", "mix")  # type: ignore[assignment]
    plan: DomainPlan
    monitor: _Labelling  # type: ignore[assignment]

    def __init__(self, model: Model, splits: Splits, plan: DomainPlan, context: Context) -> None:
        assert splits.target is not None, "a method that adapts to a domain has one"
        target = _unlabelled(splits.target)
        taught = dataclasses.replace(splits, train=target) if plan.source_free else splits
        super().__init__(model, taught, plan, context)
        self.monitor = _Labelling(plan.select)
        needs = {name for part in plan.alignments for name in part.uses}
        self._strong, self._wants_pseudo = "strong" in needs, PSEUDO in needs
        self._wants_reference = "reference" in needs
        self._reference: Network | None = None
        self._columns: dict[str, float] = {}
        self.partners = None if plan.source_free else Partners(
            Pictures(target, model.preprocessing, budget=SHARE * free_memory()), images=len(splits.train),
            seed=context.seed)
        # Pseudo-labels are for all images of the target, so that all are seen.
        self._seen = Pictures(target if self._wants_pseudo else evenly(target), model.preprocessing, budget=0)
        self._start = evidence_of(model, splits, context)

    @classmethod
    def refuse(cls, plan: Plan, model: Model) -> None:
        """Raise ConfigError where plan and task do not go together."""
        assert isinstance(plan, DomainPlan), type(plan)
        if model.task.part_name != "classification":
            raise ConfigError(f"{plan.part_name}: for classification yet, not for {model.task.part_name}.")
        wanting = [part.part_name for part in plan.alignments if not part.sourceless]
        if plan.source_free and wanting:
            able = [name for name, part in ALIGNMENTS.all().items() if part.sourceless]
            raise ConfigError(f"{plan.part_name}: learns without the source, which {wanting[0]} reads. Take --method "
                              f"{wanting[0]}, or one of {', '.join(able)}.")
        unlearned = [part.part_name for part in plan.alignments if not part.learns_source]
        # Which images of the source are drawn still matters to an alignment that reads them without their labels.
        idle = [name for name in ("loss", "label_smoothing", "class_weights", *(["sampling"] * plan.source_free))
                if name in plan.changed()]
        if idle and (plan.source_free or unlearned):
            who = plan.part_name if plan.source_free else f"{plan.part_name} with {unlearned[0]}"
            raise ConfigError(f"{who}: {', '.join(idle)} would have no effect: it learns from no label. Leave it out.")
        if plan.find_lr:
            raise ConfigError(f"{plan.part_name}: find_lr looks for the rate at which the source's loss falls, which "
                              "is not what an alignment needs. Leave it out.")
        super().refuse(plan, model)

    def companion(self) -> nn.Module:
        """Return the modules of the alignments, freshly drawn."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(self.context.seed, "alignments"))
            width, classes = self.model.backbone.width, len(self.model.classes)
            return nn.ModuleList([part.build(width, classes) for part in self.plan.alignments])

    def decoded(self) -> dict[str, Pictures]:
        """Return the pictures of both domains."""
        target = {} if self.partners is None else {"target": self.partners.target}
        return {"train": self.pictures, **target, "val": self.val_pictures}

    def columns(self) -> dict[str, float]:
        """Return what the last validation found besides what chooses: the source's accuracy, and the guard's view."""
        return self._columns

    def begin(self, network: Network, averaged: nn.Module | None, teaching: Teaching | None) -> list[nn.Module]:
        """Take the network in; return what must follow it to its device."""
        found = super().begin(network, averaged, teaching)
        if self._wants_reference:
            self._reference = copy.deepcopy(network).requires_grad_(False).eval()
            found.append(self._reference)
        return found

    def examples(self, level: int) -> PairedImages:
        """Return the augmented training images of both domains."""
        plan = self.plan
        weights = train_weights(self.pictures.dataset, plan.class_weights, sampling=plan.sampling)
        return PairedImages(self.pictures, weights, self.partners, strong=self._strong, preset=plan.augment,
                            policy=plan.policy, erasing=plan.erasing, level=level, seed=self.context.seed)

    def val(self) -> DataLoader[Any]:
        """Return the batches of the source's validation, and of the target."""
        parts: Any = ConcatDataset([ValImages(self.val_pictures), ValImages(self._seen)])
        return val_loader(parts, self.plan.batch_size, pinned=self.context.device == "cuda")

    def batch(self, items: Sequence[torch.Tensor]) -> Batch:
        """Return both domains on the device; a batch of validation is one as always."""
        plain = super().batch(items[:4])
        if len(items) == 4:
            return plain
        device = self.context.device
        views = tuple(self.preprocessing.normalise(view.to(device, non_blocking=True).contiguous(
            memory_format=torch.channels_last)) for view in items[5:])
        return DomainBatch(plain.images, plain.targets, plain.weights, plain.indices, items[4].to(device), views)

    def backward(self, network: Network, prepared: Batch, batch: Batch, rows: torch.Tensor) -> Share:
        """Add the gradient of some rows of the batch."""
        assert isinstance(batch, DomainBatch), type(batch)
        count, share = len(batch.targets), len(rows) / len(batch.targets)
        images = [] if self.plan.source_free else [prepared.images[rows]]
        seen = self._views(network, [*images, *(view[rows] for view in batch.views)])
        source = None if self.plan.source_free else seen.pop(0)
        with self.autocast():
            loss = self._aligned(network, source, seen, prepared, batch, rows) * share
            shown, weights = float(loss.detach()), prepared.weights[rows]
            if source is not None and all(part.learns_source for part in self.plan.alignments):
                loss = loss + (self.objective.losses(source.logits, prepared, rows) * weights).sum() / count
            if self.plan.regularisers:
                view, pixels = (seen[0], batch.views[0][rows]) if source is None else (source, images[0])
                loss = loss + share * self.objective.penalty(network, pixels, view.features, view.logits)
        loss.backward()
        if source is None:
            return Share(float(loss.detach()), shown / share * len(rows), float(len(rows)))
        with torch.no_grad():
            plain = self.task.loss(source.logits, batch.targets[rows]) * batch.weights[rows]
        return Share(float(loss.detach()), float(plain.sum()), float(weights.sum()))

    def _views(self, network: Network, images: Sequence[torch.Tensor]) -> list[View]:
        """Return what the network says of all, in one go: BatchNorm that trains sees both domains together."""
        features, logits = self.outputs(network, torch.cat(list(images)))
        sizes = [len(part) for part in images]
        return [View(*pair) for pair in zip(features.split(sizes), logits.split(sizes), strict=True)]

    def _aligned(self, network: Network, source: View | None, seen: Sequence[View], prepared: Batch,
                 batch: DomainBatch, rows: torch.Tensor) -> torch.Tensor:
        """Return the sum of the alignments' losses, a scalar. seen: the target, then its strong view."""
        reference = None
        if self._reference is not None and source is not None:
            with torch.no_grad():
                reference = View(*self.outputs(self._reference, prepared.images[rows]))
        pseudo = None if self.monitor.pseudo is None else self.monitor.pseudo.to(batch.partners.device)[
            batch.partners[rows]]
        pair = Pair(source, batch.targets[rows], seen[0], network.head, self.progress,  # type: ignore[arg-type]
                    strong=seen[1] if self._strong else None, reference=reference, pseudo=pseudo)
        total = seen[0].logits.new_zeros(())
        modules: Any = network.companion
        for part, module in zip(self.plan.alignments, modules, strict=True):
            total = total + part.strength * module(pair)
        return total

    def answers(self, network: Network, batch: Batch, micro_batch: int) -> tuple[torch.Tensor, ...]:
        """Return features, logits, targets and weights."""
        seen = [self.outputs(network, part) for part in batch.images.split(micro_batch)]
        features, logits = (torch.cat(column) for column in zip(*seen, strict=True))
        return features, logits, batch.targets, batch.weights

    def judged(self, answers: Sequence[Any]) -> tuple[float, float]:
        """Return what the validator says, and the mean loss on the source's validation images."""
        features, logits, targets, weights = (torch.cat(column) for column in zip(*answers, strict=True))
        count = len(self.val_pictures.dataset)
        said, told, labels, weights = logits[:count], logits[count:], targets[:count], weights[:count]
        found = verdicts(dataclasses.replace(self._start, source_logits=_some(said), target_logits=_some(told),
                                             epoch=self.epoch))
        self.context.listen(Judged(self.plan.part_name, self.epoch, found))
        self.monitor.pseudo = own_labels(features[count:], told) if self._wants_pseudo else None
        right = (said.argmax(dim=1) == labels).float()
        self._columns = {"val_accuracy": float((right * weights).sum() / weights.sum()),
                         f"val_{USUAL}": found[USUAL]}
        loss = float((self.task.loss(said, labels) * weights).sum(dtype=torch.float64) / weights.sum())
        return found.get(self.plan.select, 0.0), loss

    def blank(self, count: int) -> Batch:
        """Return a batch of black images of both domains."""
        plain = super().blank(count)
        return DomainBatch(plain.images, plain.targets, plain.weights, plain.indices, plain.indices,
                           (plain.images,) * (1 + self._strong))


class _Labelling(Chosen):
    """What a validator says, and the labels that the network gave the target, for a checkpoint."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.pseudo: torch.Tensor | None = None
        """int64 [M]."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the labels."""
        return {} if self.pseudo is None else {PSEUDO: self.pseudo.cpu()}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up the labels."""
        self.pseudo = tensors.get(PSEUDO)


def own_labels(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return int64 [M]: the class whose centre is nearest by the cosine; centres by the softmax, then by these labels.

    features: float32 [M, D]. logits: float32 [M, C]. Source: Liang et al., "Do We Really Need to Access the Source
    Data?", ICML 2020, equations 4 and 5.
    """
    unit = nn.functional.normalize(torch.cat([features, torch.ones(len(features), 1, device=features.device)], 1))
    shares = logits.softmax(dim=1)
    # A class that no image is given may not be there at all: it has no centre that could take some.
    absent = torch.bincount(logits.argmax(dim=1), minlength=logits.shape[1]) == 0
    for _ in range(2):
        centres = nn.functional.normalize(shares.T @ unit)
        labels = (unit @ centres.T).masked_fill(absent, -torch.inf).argmax(dim=1)
        shares = nn.functional.one_hot(labels, logits.shape[1]).to(unit.dtype)
    return labels


def _unlabelled(target: Dataset) -> Dataset:
    """Return the images with a label that means nothing, where a loader must have one."""
    return dataclasses.replace(target, samples=tuple(dataclasses.replace(sample, label=0) for sample in target.samples))


def _some(logits: torch.Tensor) -> np.ndarray:
    """Return the logits of the images that validators see."""
    return np.asarray(logits.float().cpu().numpy()[even_rows(len(logits))])
