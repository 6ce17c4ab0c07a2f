"""Train: a model, two splits and a plan in; the model with the best weights out. What every training method calls."""

from __future__ import annotations

import copy
import dataclasses
import time
from typing import get_args

import torch

from headstart.data.dataset import Dataset, Splits
from headstart.errors import ConfigError, DataError, IntegrityError
from headstart.events import Finished, Kept, Note, Started, Trained
from headstart.memory import keep_pages
from headstart.methods.method import Context
from headstart.model import Model
from headstart.training import overfitting, snapshot
from headstart.training.averaging import Averaging
from headstart.training.batch_norm import adapted
from headstart.training.checkpoints import Checkpoint, Checkpoints
from headstart.training.exact import exact
from headstart.training.imbalance import sampling_probabilities
from headstart.training.learner import Learner
from headstart.training.lesson import Lesson
from headstart.training.lessons import lesson_of
from headstart.training.loading import possible_workers
from headstart.training.lr_finder import Tried
from headstart.training.network import Network, rate_table
from headstart.training.objective import Teaching
from headstart.training.order import Order
from headstart.training.plan import Plan
from headstart.training.recompute import recomputed
from headstart.training.recovery import run_to_end
from headstart.training.signals import StopSignals
from headstart.training.telling import epoch_ended, training_step_name


def train(model: Model, splits: Splits, plan: Plan, context: Context, *, teaching: Teaching | None = None) -> Model:
    """Return a copy of `model` trained by `plan` on `splits.train`, with the weights that `splits.val` likes best.

    The start competes too: training never ends worse on validation than it began (with batch_norm=adapt, than the model
    that has the new statistics). Where `context.workspace` holds
    checkpoints of the same training, it goes on from the newest whole one, to the same bits as without a break.
    teaching: a teacher's share in the loss.
    Raises ConfigError, DataError, DivergedError, ResourceError, IntegrityError or Interrupted.
    """
    refuse_empty(splits)
    refuse_impossible(plan, model)
    checkpoints = Checkpoints(context.workspace, context.listen)
    saved = checkpoints.newest()
    if saved is not None:
        _require_same(saved, plan, context)
    if context.device == "cpu":
        keep_pages()
    threads = saved.state["threads"] if saved else torch.get_num_threads()
    with StopSignals() as stop, exact(context.device, threads=threads):
        model = copy.deepcopy(model)
        lesson = lesson_of(model, plan)(model, splits, plan, context)
        done = saved is not None and saved.state["finished"] and saved.state["best"] is not None
        if plan.batch_norm == "adapt" and not done:
            _decode(lesson, stop)
            model = adapted(model, plan, lesson.pictures, lesson.val_pictures, context)
        network = Network(model.backbone, model.head, plan, companion=lesson.companion())
        averaging = Averaging(network, plan.average) if plan.average is not None else None
        beside = lesson.begin(network, averaging.averaged if averaging else None, teaching)
        order = _order(lesson.pictures.dataset, plan, context, moving=network.moves_batch_norm)
        learner = Learner(network, lesson, averaging=averaging, order=order, checkpoints=checkpoints, stop=stop,
                          beside=beside)
        if saved is not None:
            _take_up(learner, saved)
        _say_what_trains(learner)
        if not learner.state.finished or learner.state.best is None:
            _decode(lesson, stop)
            learner.order = order.grouped(lesson.alike())
            lesson.ready(network)
            with recomputed(network.backbone.stages() if plan.gradient_checkpointing else []):
                _run(learner)
        return _result(model, learner)


def refuse_impossible(plan: Plan, model: Model) -> None:
    """Raise ConfigError where the plan can't be carried out on the model's task or backbone; reads no image."""
    lesson_of(model, plan).refuse(plan, model)
    network = Network(copy.deepcopy(model.backbone), copy.deepcopy(model.head), plan)
    network.set_drop_path(plan.drop_path)
    if plan.batch_size == 1:
        _refuse_single_images(plan, network)


def _refuse_single_images(plan: Plan, network: Network) -> None:
    """Raise ConfigError where BatchNorm would have to learn on batches of one image."""
    if network.head_has_batch_norm:
        raise ConfigError(f"{plan.part_name}: the head has BatchNorm of its own, which can't learn on batches of one "
                          "image and which batch_norm=frozen does not reach. Raise batch_size to 2 or more, or choose "
                          "another head (of the detectors, fcos, retinanet and faster_rcnn have no BatchNorm).")
    if network.moves_batch_norm:
        free = "frozen" in get_args(type(plan).model_fields["batch_norm"].annotation)
        raise ConfigError(f"{plan.part_name}: BatchNorm can't learn on batches of one image. Raise batch_size"
                          + (", or set batch_norm=frozen." if free else " to 2 or more."))


def _say_what_trains(learner: Learner) -> None:
    plan, listen = learner.plan, learner.context.listen
    trained, everything = (sum(p.numel() for p in part) for part in (learner.learning, learner.network.parameters()))
    listen(Trained(plan.part_name, trained, everything))
    if plan.layer_decay < 1:
        rows = [f"  {row.name:<10} {row.rate:.3g}  {row.parameters:,} parameters"
                for row in rate_table(learner.optimizer.param_groups)]
        listen(Note("\n".join([f"{plan.part_name}: highest learning rates, shallow first", *rows])))


def _decode(lesson: Lesson, stop: StopSignals) -> None:
    name, listen = lesson.plan.part_name, lesson.context.listen

    def check() -> None:
        stop.raise_if_requested(f"{name}, decoding")

    budget = lesson.pictures.budget
    for part, pictures in lesson.decoded().items():
        pictures.budget = budget
        budget -= pictures.load(step=f"{name}: decoding {part}", listen=listen, check=check)


def _run(learner: Learner) -> None:
    plan, context = learner.plan, learner.context
    checkpoints, listen = learner.checkpoints, context.listen
    size = sum(t.numel() * t.element_size() for t in learner.network.state_dict().values())
    checkpoints.require_space((3 if plan.average is None else 4) * size)  # AdamW has two moments
    began = time.perf_counter()
    workers = possible_workers(context.workers, learner.lesson.preprocessing, plan.batch_size, listen)
    listen(Started(training_step_name(plan.part_name), learner.order.total, "steps"))
    run_to_end(learner, learner.lesson.examples, workers=workers)
    best = learner.state.best
    assert best is not None, "run_to_end ends with a best"
    watched = learner.watched
    kept = f"{'best epoch' if watched.shown else 'epoch'} {best.epoch}" if best.epoch else "the start is kept"
    judged = f"{watched.name} {best.metric:.3f}, " if watched.shown else ""
    detail = f"{kept}: {judged}loss {best.loss:.3f} on validation"
    listen(Finished(training_step_name(plan.part_name), time.perf_counter() - began, detail))


def refuse_empty(splits: Splits) -> None:
    """Raise DataError unless there are images to learn from and images to choose by."""
    for name, part in (("train", splits.train), ("val", splits.val)):
        if not len(part):
            raise DataError(f"the {name} split is empty; training needs one. Give it images, or let Headstart split.")


def _order(shown: Dataset, plan: Plan, context: Context, *, moving: bool) -> Order:
    order = Order(len(shown), plan.batch_size, plan.epochs, seed=context.seed, drop_single=moving,
                  probabilities=sampling_probabilities(shown, plan.sampling))
    if order.dropped:
        context.listen(Note(f"{plan.part_name}: the last batch of each epoch would be 1 image, on which BatchNorm "
                            f"can't learn: each epoch leaves out another one of the {len(shown)} images"))
    return order


def _require_same(saved: Checkpoint, plan: Plan, context: Context) -> None:
    before, now = saved.state["plan"], plan.record()
    changed = [f"{key} was {before.get(key)!r}, is {now[key]!r}" for key in now if before.get(key) != now[key]]
    if changed:
        raise ConfigError(f"{context.workspace}: the checkpoints are of other settings: {'; '.join(changed)}. Resume "
                          "with the settings of then, or start a new run with another --out.")
    if saved.state["torch"] != str(torch.__version__):
        context.listen(Note(f"not bit-exact: begun with torch {saved.state['torch']}, resumed with "
                            f"{torch.__version__}", "warning"))


def _take_up(learner: Learner, saved: Checkpoint) -> None:
    """Go on from `saved`, and tell of the epochs that are done, so that the history is complete."""
    snapshot.restore(learner, saved)
    plan, state, listen = learner.plan, learner.state, learner.context.listen
    listen(Note(f"{plan.part_name}: resumed at step {state.step} of {learner.order.total}"))
    for row in state.history:
        listen(epoch_ended(plan.part_name, row))
    if state.tried is not None:
        listen(Tried(**state.tried).event(plan.part_name))
    if state.best is not None and state.best.checkpoint != saved.serial:
        try:
            learner.checkpoints.read(state.best.checkpoint)
        except IntegrityError as error:
            listen(Note(f"{error} The best weights (epoch {state.best.epoch}) are lost; the newest ones take their "
                        "place until an epoch beats them.", "warning"))
            state.best = None


def _result(model: Model, learner: Learner) -> Model:
    best = learner.state.best
    assert best is not None, "training ends with a best"
    learner.context.listen(Kept(learner.plan.part_name, best.epoch))
    if best.epoch == 0:
        learner.context.listen(Note(f"{learner.plan.part_name}: no epoch was better on validation than the start "
                                    f"({learner.watched.name} {best.metric:.3f}), whose weights are kept. "
                                    "Other learning rates may do better (lr_head, lr_backbone; find_lr=true tries "
                                    "some).", "warning"))
    helped = overfitting.outcome(learner)
    if helped:
        learner.context.listen(Note(helped))
    network = learner.network.cpu()
    network.load_state_dict(snapshot.kept_weights(learner.checkpoints.read(best.checkpoint)))
    network.set_drop_path(0.0)
    network.backbone.freeze(0)
    network.zero_grad(set_to_none=True)
    network.requires_grad_(True)
    network.eval()
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return dataclasses.replace(model, backbone=network.backbone, head=network.head, temperature=1.0)
