"""The learner: one training loop for every method. The only door to Lightning.

Lightning runs the batches; the state, the order of samples, validation and checkpoints are ours, because its own
resume replays the first epoch's order, and its own checkpoints can tear.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import nn
from torch.utils.data import DataLoader

from headstart import seeds
from headstart.events import Note
from headstart.training import overfitting, snapshot, unfreezing
from headstart.training.averaging import Averaging
from headstart.training.checkpoints import Checkpoints
from headstart.training.guard import check_number, check_tensors
from headstart.training.lesson import Lesson
from headstart.training.network import Network
from headstart.training.order import Order
from headstart.training.signals import StopSignals
from headstart.training.state import Best, State
from headstart.training.telling import epoch_ended, progress
from headstart.types import Batch


class Learner(LightningModule):
    """Trains `network` by `plan`. `state` and the tensors are what a checkpoint holds."""

    def __init__(self, network: Network, lesson: Lesson, *, averaging: Averaging | None, order: Order,
                 checkpoints: Checkpoints, stop: StopSignals, beside: Iterable[nn.Module] = ()) -> None:
        """beside: other networks that compute on the same device."""
        super().__init__()
        self.automatic_optimization = False
        self.network, self.lesson = network, lesson
        self.task, self.plan, self.context = lesson.model.task, lesson.plan, lesson.context
        self.averaging, self.order, self.pictures = averaging, order, lesson.pictures
        self.watched, self.checkpoints, self.stop = lesson.monitor, checkpoints, stop
        plan, context = self.plan, self.context
        micro = plan.micro_batch if isinstance(plan.micro_batch, int) else plan.batch_size
        self.state = State(micro_batch=min(micro, plan.batch_size), thawed=network.thawed)
        self.optimizer = torch.optim.AdamW(network.groups(plan))
        for part in (network, *beside, averaging.averaged if averaging else None):
            if part is not None:
                part.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.learning = [p for group in self.optimizer.param_groups for p in group["params"]]
        self._saved_at = self._epoch_began = time.monotonic()
        self._val_seconds = 0.0
        self.val = lesson.val()
        self.enter_level()

    # What Lightning calls

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer; the schedule is a function of the step, so there is no scheduler."""
        return self.optimizer

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Return the batch as it is: the lesson moves what it needs, and Lightning can't look into frozen records."""
        return batch

    def training_step(self, items: Sequence[Any], batch_idx: int) -> None:
        """Do one optimizer step on a batch, in micro-batches where memory is short. Raises NonFinite."""
        state = self.state
        torch.manual_seed(seeds.derive(self.context.seed, "step", state.step))
        self.set_rates(self._rate(state.step))
        self.lesson.progress = state.step / max(1, self.order.total)
        batch = self.lesson.batch(items)
        loss = self.gradient(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.learning, self.plan.clip_norm)
        positions = [int(index) for index in batch.indices]
        check_number("the loss", loss, positions)
        check_number("the gradient's norm", float(norm), positions)
        self.optimizer.step()
        state.step += 1
        if self.averaging is not None:
            state.taken = self.averaging.step(state.step, state.taken, steps=self.order.steps, total=self.order.total)

    def on_train_batch_end(self, *_: object) -> None:
        """Report; close the epoch, save, or stop where it is time to."""
        state = self.state
        self.context.listen(progress(self.plan.part_name, state, self.watched.name))
        if state.step == (state.epoch + 1) * self.order.steps:
            if self.stop.requested is not None:
                self.save()  # validation may take longer than a scheduler waits
                self._raise_if_stopped()
            self.close_epoch()
        elif self.stop.requested is not None or time.monotonic() - self._saved_at > self.plan.checkpoint_seconds:
            self.save()
        self._raise_if_stopped()
        if not state.finished and self.context.remaining() <= 1.5 * self._val_seconds:
            self._out_of_time()
        if state.finished or state.level != self._level:
            self.trainer.should_stop = True  # at another level the images are augmented in another way

    # One batch

    def set_rates(self, factor: float) -> None:
        """Set each group's learning rate to `factor` times its base."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * factor

    def gradient(self, batch: Batch) -> float:
        """Put the gradient of a batch where the optimizer looks for it, micro-batch by micro-batch; return the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        prepared = self.lesson.prepared(batch)
        parts = -(-len(batch.targets) // self.state.micro_batch)
        if self.order.drop_single:
            parts = max(1, min(parts, len(batch.targets) // 2))  # BatchNorm can't learn on one image
        total = 0.0
        for rows in torch.arange(len(batch.targets)).tensor_split(parts):
            share = self.lesson.backward(self.network, prepared, batch, rows)
            total += share.loss
            self.state.loss_sum += share.shown
            self.state.weight_sum += share.weight
        return total

    # One epoch

    @property
    def kept(self) -> Network:
        """The network that is validated and kept: the average, where there is one."""
        return self.averaging.averaged if self.averaging is not None and self.state.taken else self.network

    def validate(self) -> tuple[float, float]:
        """Return (metric, mean loss) on the validation split. Raises NonFinite, or Interrupted on a signal."""
        began = time.monotonic()
        answers = []
        self.lesson.epoch = self.state.epoch + (self.state.weight_sum > 0)
        self.network.eval()
        with torch.no_grad():
            for items in self.val:
                if self.stop.requested is not None:
                    self.save()
                    self._raise_if_stopped()
                answers.append(self.lesson.answers(self.kept, self.lesson.batch(items), self.state.micro_batch))
            metric, loss = self.lesson.judged(answers)
        self.network.train()
        self._val_seconds = time.monotonic() - began
        check_number("the validation loss", loss)
        return metric, loss

    def begin(self) -> None:
        """Validate the weights as they are, make them the best so far, and write a checkpoint."""
        metric, loss = self.validate()
        self.state.best = Best(self.checkpoints.next, self.state.epoch, metric, loss)
        self.state.counted = (metric, loss)
        self.save()
        self._epoch_began = time.monotonic()

    def close_epoch(self, *, last: bool = False) -> None:
        """Validate, add a row to the history, choose the best weights, and write a checkpoint."""
        state, name = self.state, self.watched.name
        train_loss = state.loss_sum / state.weight_sum
        train_metric = self.watched.value(train_loss)
        if self.averaging is not None and state.taken:
            self.averaging.settle(self.pictures, self.context)
        metric, loss = self.validate()
        row = {"epoch": state.epoch + 1, "step": state.step, "train_loss": train_loss, "val_loss": loss}
        if name != "loss" and self.watched.shown:
            row |= {f"train_{name}": train_metric, f"val_{name}": metric}
        row |= self.lesson.columns() | self._rates() | unfreezing.columns(state)
        row["seconds"] = time.monotonic() - self._epoch_began
        if self.plan.on_overfit == "regularise":
            row["level"] = state.level
        # An undefined metric (a split without some class) is left out: it is no number.
        state.history.append({key: value for key, value in row.items() if not math.isnan(value)})
        self._compare(metric, loss)
        state.loss_sum = state.weight_sum = 0.0
        self.watched.reset()
        if last or state.epoch == self.plan.epochs or (self.plan.patience and state.stale >= self.plan.patience):
            state.finished = True
        unfreezing.advance(self)
        overfitting.act(self)
        self.save()
        self.context.listen(epoch_ended(self.plan.part_name, state.history[-1]))
        self._epoch_began = time.monotonic()

    def _compare(self, metric: float, loss: float) -> None:
        state = self.state
        assert state.best is not None, "training begins with a validation"
        if self.watched.better((metric, loss), state.counted, by=self.plan.min_delta):
            state.counted, state.stale, state.waiting = (metric, loss), 0, 0
        else:
            state.stale, state.waiting = state.stale + 1, state.waiting + 1
        if self.watched.better((metric, loss), (state.best.metric, state.best.loss)):
            state.best = Best(self.checkpoints.next, state.epoch, metric, loss)

    def _rates(self) -> dict[str, float]:
        """Return the rates of the last step, from its number: a resumed optimizer knows none. The frozen have none."""
        rate = self._rate(max(0, self.state.step - 1))
        # Groups come shallow first, so that the backbone's deepest stage has the last word.
        return {"lr_head" if group["name"] == "head" else "lr_backbone": group["base"] * rate
                for group in self.optimizer.param_groups if group["name"] != "companion"}

    def _rate(self, step: int) -> float:
        return self.state.rate * self.plan.rate(step, self.order.total)

    def _out_of_time(self) -> None:
        """Close what was begun of the epoch, and end."""
        if self.state.weight_sum:
            self.close_epoch(last=True)
        else:
            self.state.finished = True
            self.save()
        self.context.listen(Note(f"{self.plan.part_name}: the time limit ends training after {self.state.step} of "
                                 f"{self.order.total} steps; the best weights so far are kept", "warning"))

    # Checkpoints

    def save(self) -> None:
        """Write a checkpoint. Raises NonFinite rather than save such weights, ResourceError when the disk is full."""
        weights = dict(self.network.state_dict())
        check_tensors(weights)
        best = self.state.best
        self.checkpoints.save({**self.state.record(), "plan": self.plan.record(),
                               "threads": torch.get_num_threads(), "torch": str(torch.__version__)},
                              weights, snapshot.moments(self), keep=best.checkpoint if best else None)
        self._saved_at = time.monotonic()

    def enter_level(self) -> None:
        """Do what the state says of the regularisation, the unfreezing and the drop path."""
        self._level = self.state.level
        self.network.thaw(self.state.thawed)
        overfitting.apply(self)

    def _raise_if_stopped(self) -> None:
        self.stop.raise_if_requested(f"{self.plan.part_name}, step {self.state.step} of {self.order.total}")


def run_trainer(learner: Learner, loader: DataLoader[Any]) -> None:
    """Let Lightning run the batches of `loader`. Writes no file, prints nothing, and leaves no handler behind."""
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if learner.context.device == "cuda" else "cpu", devices=1, max_epochs=1,
            logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            limit_val_batches=0, num_sanity_val_steps=0, default_root_dir=learner.checkpoints.folder,
            # Else a cluster's variables would be taken for orders to this process.
            plugins=[LightningEnvironment()], barebones=False)
        trainer.fit(learner, loader)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's tips and warnings; all that concerns the user comes as an event of ours."""
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", category=UserWarning, message=".*does not have many workers.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
