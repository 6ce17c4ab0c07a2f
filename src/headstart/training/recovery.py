"""Recovery: run a learner to its end, through NaNs, dead workers and memory that runs out."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable

import torch

from headstart.errors import DataError, DivergedError, ResourceError, listed
from headstart.events import Note
from headstart.training import snapshot
from headstart.training.guard import NonFinite
from headstart.training.learner import Learner, run_trainer
from headstart.training.loading import PREFETCH, Examples, is_worker_fault, train_loader, worker_error
from headstart.training.memory_faults import is_out_of_memory
from headstart.training.preparation import prepare

RETRIES = 3
"""How often a fault of one kind is answered before the run gives up."""


def run_to_end(learner: Learner, images: Callable[[int], Examples], *, workers: int) -> None:
    """Train until `learner.state.finished`, recovering from what can be recovered from.

    images: the training images by the level of regularisation.
    Raises DivergedError, ResourceError, DataError or Interrupted; what was done until then is in a checkpoint.
    """
    worker_faults = 0
    while not learner.state.finished or learner.state.best is None:
        try:
            _go_on(learner, images, workers)
            continue
        except NonFinite as fault:
            _after_non_finite(learner, fault)
        except DataError:
            learner.save()  # the state between two steps is whole; only the next picture is not
            raise
        except (RuntimeError, MemoryError, ConnectionError, EOFError) as error:
            if workers and is_worker_fault(error):
                worker_faults += 1
                _after_worker_fault(learner, error, worker_faults, workers)
            elif is_out_of_memory(error):
                _after_out_of_memory(learner, error)
            else:
                raise
        # The traceback that held the failed step's tensors is gone only now.
        gc.collect()
        if learner.context.device == "cuda":
            torch.cuda.empty_cache()


def _go_on(learner: Learner, images: Callable[[int], Examples], workers: int) -> None:
    state, order = learner.state, learner.order
    learner.to(learner.context.device)
    learner.train()
    if state.best is None:
        if state.step == 0:
            prepare(learner, images(0))
        learner.begin()
    if not state.finished and state.step == (state.epoch + 1) * order.steps:
        learner.close_epoch()
    if state.finished:
        return
    learner.enter_level()
    loader = train_loader(images(state.level), order.after(state.step), workers=workers,
                          pinned=learner.context.device == "cuda")
    run_trainer(learner, loader)


def _restore(learner: Learner) -> bool:
    """Go back to the newest checkpoint; return whether there is one."""
    learner.to(learner.context.device)
    checkpoint = learner.checkpoints.newest()
    if checkpoint is not None:
        snapshot.restore(learner, checkpoint)
    return checkpoint is not None


def _after_non_finite(learner: Learner, fault: NonFinite) -> None:
    """Go back to the last good checkpoint with half the learning rates, three times at most."""
    step, epoch, retries = learner.state.step, learner.state.epoch, learner.state.retries
    rate = max(group["lr"] for group in learner.optimizer.param_groups)
    ids = [learner.pictures.dataset.samples[index].id for index in fault.indices]
    where = f"{learner.plan.part_name}: {fault.what} at epoch {epoch + 1}, step {step + 1}, learning rate {rate:.2g}"
    if retries >= RETRIES or not _restore(learner):
        raise DivergedError(f"{where}, after {retries} retries with halved learning rates. "
                            + (f"Images of the batch:\n{listed(ids)}\n" if ids else "")
                            + "Lower lr_head and lr_backbone, or look at these images and their labels. The last "
                            "good weights are kept.")
    learner.state.retries = retries + 1
    learner.context.listen(Note(f"{where}; going back to step {learner.state.step} with half the learning rates "
                                f"(retry {retries + 1} of {RETRIES})", "warning"))
    learner.save()


def _after_worker_fault(learner: Learner, error: BaseException, count: int, workers: int) -> None:
    """Start the workers once more from the last checkpoint; the second time name the images they had in hand.

    torch raises from a signal handler, maybe in the middle of a step: what is in memory then must not be saved.
    """
    if count > 1:
        batches = itertools.islice(learner.order.after(learner.state.step), workers * PREFETCH)
        positions = [index for batch in batches for _, index in batch]
        raise worker_error(error, learner.pictures.dataset.samples, positions) from error
    learner.context.listen(Note(f"{learner.plan.part_name}: a loader worker died or hung at step {learner.state.step}; "
                                "the workers are started once more from the last checkpoint", "warning"))
    _restore(learner)


def _after_out_of_memory(learner: Learner, error: BaseException) -> None:
    """Halve the micro-batch and add up gradients: the effective batch stays what the plan says."""
    micro, batch, halvings = learner.state.micro_batch, learner.plan.batch_size, learner.state.halvings
    smaller = -(-micro // 2)
    least = 2 if learner.order.drop_single else 1  # BatchNorm can't learn on one image
    # Before the first checkpoint nothing has been learned: the weights are still those of the start.
    whole = _restore(learner) or learner.state.step == 0
    if micro <= least or halvings >= RETRIES or not whole:
        raise ResourceError(f"{learner.plan.part_name}: memory ran out even with {micro} images at a time "
                            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}). Choose a "
                            "smaller image_size, a smaller backbone or fewer trained stages.") from error
    learner.state.micro_batch, learner.state.halvings = smaller, halvings + 1
    learner.context.listen(Note(f"{learner.plan.part_name}: memory ran out with {micro} images at a time; going on "
                                f"with {smaller}, gradients added up to the same batch of {batch}", "warning"))
    learner.save()
