"""Rows 40 to 55: training. Rows 44 and 45 are walked more densely by tests/training/test_resume.py."""

import errno
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError, DivergedError, Interrupted, ResourceError
from headstart.events import EpochEnded, silent
from headstart.training import loading
from headstart.training.checkpoints import Checkpoints
from headstart.training.image_lesson import ImageLesson
from headstart.training.learner import Learner
from headstart.training.pictures import TrainImages
from headstart.training.train import train
from tests.faults.matrix import row
from tests.training.killing import in_child, kill_at_fsync, kill_at_step
from tests.training.small import Events, context, digest, model, plan, splits

SHORT = plan(epochs=2, augment="none")


def short(**changes):
    return plan(**{"epochs": 2, "augment": "none", **changes})
STATE = {"step": 1, "value": 0.1}
TENSORS = {"a": torch.arange(4.0)}


@contextmanager
def patched(owner: object, name: str, value: object):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


@contextmanager
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit(folder: Path, chosen=SHORT, *, listen: Callable = silent, **changes):
    with one_thread():
        return train(model(), splits(folder / "data"), chosen, context(folder, listen, **changes))


def poison(step: int, *, times: int) -> Callable:
    """Return a training_step that makes the head NaN-producing at `step`, `times` times."""
    real, left = Learner.training_step, [times]

    def training_step(self, items, batch_idx):
        if self.state.step == step and left[0]:
            left[0] -= 1
            items = [items[0], items[1], items[2] * float("nan"), items[3]]
        return real(self, items, batch_idx)

    return training_step


@row(40, "NaN loss is retried from the last good checkpoint with half the rate")
def nan_recovers(folder: Path) -> None:
    events = Events()
    with patched(Learner, "training_step", poison(7, times=1)):
        trained = fit(folder, listen=events)
    assert re.search(r"the loss is nan at epoch 2, step 8.*going back to step 5 with half.*retry 1 of 3",
                     events.notes())
    rates = [event.values["lr_head"] for event in events.of(EpochEnded)]
    assert rates[1] == pytest.approx(SHORT.lr_head * 0.5 * SHORT.rate(9, 10))
    assert all(torch.isfinite(t).all() for t in trained.backbone.state_dict().values())


@row(40, "NaN that stays ends the run and names step, rate and images")
def nan_diverges(folder: Path) -> None:
    events = Events()
    with (patched(Learner, "training_step", poison(6, times=9)),
          pytest.raises(DivergedError, match=r"epoch 2, step 7, learning rate .* after 3 retries(.|\n)*\d{3}\.png")
          as e):
        fit(folder, listen=events)
    assert e.value.exit_code == 4
    assert events.notes().count("going back") == 3
    kept = Checkpoints(folder / "checkpoints", silent).newest()
    assert kept is not None
    assert all(torch.isfinite(t).all() for t in kept.weights.values())


@row(41, "frozen backbone with BatchNorm keeps every bit")
def frozen_keeps(folder: Path) -> None:
    start = model()
    with one_thread():
        longer = plan(augment="none", scope="head", epochs=6, lr_head=0.01)
        trained = train(start, splits(folder / "data"), longer, context(folder, silent))
    assert trained.backbone.weights_hash() == start.backbone.weights_hash()
    assert trained.head.linear.weight.abs().sum() > 0


@row(41, "frozen BatchNorm in a trained backbone keeps its statistics")
def statistics_keep(folder: Path) -> None:
    def statistics(made):
        return {k: v for k, v in made.backbone.state_dict().items() if "running" in k or "num_batches" in k}

    start = model()
    with one_thread():
        trained = train(start, splits(folder / "data"), SHORT, context(folder, silent))
        moved = train(start, splits(folder / "data"), short(batch_norm="train", epochs=6),
                      context(folder / "moved", silent))
    assert all(torch.equal(statistics(trained)[k], v) for k, v in statistics(start).items())
    assert trained.backbone.weights_hash() != start.backbone.weights_hash()
    assert any(not torch.equal(statistics(moved)[k], v) for k, v in statistics(start).items())


@row(42, "last batch of one image under BatchNorm is left out and told")
def single_left_out(folder: Path) -> None:
    for train_count, kind, steps in ((21, "train", 5), (22, "train", 6), (21, "frozen", 6)):
        events, here = Events(), folder / f"{train_count}-{kind}"
        with one_thread():
            train(model(), splits(here / "data", train=train_count),
                  short(batch_norm=kind, epochs=1), context(here, events))
        assert events.of(EpochEnded)[0].step == steps
        assert ("last batch of each epoch would be 1 image" in events.notes()) == (steps == 5)


@row(43, "unknown monitor is refused before the first epoch")
def wrong_monitor(folder: Path) -> None:
    events = Events()
    with pytest.raises(ConfigError, match=r'"acuracy" is not a metric of classification\. Did you mean "accuracy"'):
        fit(folder, short(monitor="acuracy"), listen=events)
    assert not events


@row(44, "killed in the middle of an epoch")
def killed_mid_epoch(folder: Path) -> None:
    whole = digest(fit(folder / "whole"))
    assert in_child(lambda: fit(folder, short(), listen=kill_at_step(7))) == -signal.SIGKILL
    assert digest(fit(folder)) == whole


@row(45, "killed while a checkpoint is written")
def killed_while_saving(folder: Path) -> None:
    whole = digest(fit(folder / "whole"))

    def work() -> None:
        kill_at_fsync(9)
        fit(folder)

    assert in_child(work) == -signal.SIGKILL
    assert digest(fit(folder)) == whole
    assert not list((folder / "checkpoints").glob("*.tmp-*"))


@row(46, "every file is synced, then the folder renamed, then its parent synced")
def durable_order(folder: Path) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(handle: int) -> None:
        calls.append("sync " + Path(os.readlink(f"/proc/self/fd/{handle}")).name.partition(".tmp")[0])
        fsync(handle)

    def noted_rename(self: Path, target: Path) -> Path:
        calls.append("rename")
        return rename(self, target)

    store = Checkpoints(folder, silent)
    with patched(os, "fsync", noted_fsync), patched(Path, "rename", noted_rename):
        store.save(STATE, TENSORS, {}, keep=None)
    assert calls == ["sync weights.safetensors", "sync optim.safetensors", "sync state.json", "sync MANIFEST.json",
                     "sync ckpt-000001", "rename", f"sync {folder.name}", "sync ledger.jsonl"]


@row(47, "full disk costs no saved checkpoint")
def disk_full(folder: Path) -> None:
    store = Checkpoints(folder, silent)
    first = store.save(STATE, TENSORS, {}, keep=None)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with patched(os, "fsync", full), pytest.raises(ResourceError, match=r"disk is full; a checkpoint needs .* MB"):
        store.save({**STATE, "step": 2}, TENSORS, {}, keep=None)
    kept = store.newest()
    assert kept is not None
    assert (kept.serial, kept.state) == (first, STATE)
    assert [path.name for path in folder.glob("ckpt-*")] == ["ckpt-000001"]
    with pytest.raises(ResourceError, match=r"checkpoints need .* MB, the disk has"):
        store.require_space(10 ** 18)


@row(48, "truncated, flipped or foreign checkpoint is set aside, the one before used")
def damaged(folder: Path) -> None:
    def truncate(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-3])

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))

    harms = [(harm, name) for harm in (truncate, flip) for name in ("weights.safetensors", "state.json",
                                                                    "optim.safetensors")]
    for number, (harm, name) in enumerate([*harms, (Path.unlink, "weights.safetensors"), (truncate, "MANIFEST.json")]):
        events = Events()
        store = Checkpoints(folder / str(number), events)
        first = store.save(STATE, TENSORS, {"m": torch.ones(2)}, keep=None)
        second = store.save({**STATE, "step": 2}, TENSORS, {"m": torch.ones(2)}, keep=first)
        harm(store.folder / f"ckpt-{second:06d}" / name)
        found = Checkpoints(store.folder, events).newest()
        assert found is not None
        assert found.state == STATE
        assert (store.folder / f"ckpt-{second:06d}.corrupt").is_dir()
        assert "set aside as ckpt-000002.corrupt; the one before it is used" in events.notes()


@row(49, "moved folder resumes, and a best that was deleted is told and replaced")
def best_lost(folder: Path) -> None:
    trained = fit(folder / "a")
    shutil.move(folder / "a" / "checkpoints", folder / "a2")
    (folder / "b").mkdir()
    shutil.move(folder / "a2", folder / "b" / "checkpoints")
    assert digest(fit(folder / "b")) == digest(trained)
    store = Checkpoints(folder / "b" / "checkpoints", silent)
    last = store.newest()
    assert last is not None
    in_child(lambda: fit(folder / "c", short(epochs=3, lr_head=1e-9, lr_backbone=1e-9),
                         listen=kill_at_step(8)))
    ledger = (folder / "c" / "checkpoints" / "ledger.jsonl").read_text().splitlines()
    best = json.loads(ledger[-1])["best"]
    others = [p for p in (folder / "c" / "checkpoints").glob("ckpt-*") if p.name != f"ckpt-{best:06d}"]
    if others:
        shutil.rmtree(folder / "c" / "checkpoints" / f"ckpt-{best:06d}")
        events = Events()
        fit(folder / "c", short(epochs=3, lr_head=1e-9, lr_backbone=1e-9), listen=events)
        assert "The best weights" in events.notes()


@row(50, "SIGTERM saves the very step and exits 143")
def terminated(folder: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="stopped by SIGTERM") as caught:
        fit(folder, listen=kill_at_step(3, signal.SIGTERM))
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    kept = Checkpoints(folder / "checkpoints", silent).newest()
    assert kept is not None
    assert kept.state["step"] == 3


@row(51, "SIGINT once saves, twice stops at once, both exit 130")
def interrupted(folder: Path) -> None:
    for times, message in ((1, "all work so far is saved"), (2, "by a second Ctrl-C")):
        with pytest.raises(Interrupted, match=message) as caught:
            fit(folder / str(times), listen=kill_at_step(3, signal.SIGINT, times=times))
        assert caught.value.exit_code == 130


def broken_worker(action: Callable[[], None], flag: Path, *, always: bool) -> Callable:
    real = TrainImages.__getitem__
    parent = os.getpid()

    def getitem(self, key):
        if os.getpid() != parent and key[0] == 1 and (always or not flag.exists()):
            flag.touch()
            action()
        return real(self, key)

    return getitem


@row(52, "dead loader worker is replaced once, then its images are named")
def worker_dies(folder: Path) -> None:
    whole = digest(fit(folder / "whole"))
    events = Events()

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with patched(TrainImages, "__getitem__", broken_worker(die, folder / "once", always=False)):
        assert digest(fit(folder / "a", listen=events, workers=1)) == whole
    assert "the workers are started once more" in events.notes()
    with (patched(TrainImages, "__getitem__", broken_worker(die, folder / "x", always=True)),
          pytest.raises(ResourceError, match=r"died or hung twice(.|\n)*\d{3}\.png") as caught):
        fit(folder / "b", workers=1)
    assert caught.value.exit_code == 5
    assert digest(fit(folder / "b")) == whole


@row(53, "hung loader worker is replaced once")
def worker_hangs(folder: Path) -> None:
    assert loading.TIMEOUT == 120
    events = Events()
    with (patched(loading, "TIMEOUT", 2),
          patched(TrainImages, "__getitem__", broken_worker(lambda: time.sleep(60), folder / "once", always=False))):
        fit(folder, listen=events, workers=1)
    assert "the workers are started once more" in events.notes()


@row(54, "shared memory too small for the workers")
def shared_memory(folder: Path) -> None:
    events = Events()
    with patched(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10 ** 6, 0, 10 ** 6)):
        assert loading.possible_workers(4, Preprocessing(), 32, events) == 0
    assert "Give the container more shared memory" in events.notes()
    assert loading.possible_workers(0, Preprocessing(), 32, events) == 0


def short_of_memory(limit: int) -> Callable:
    real = ImageLesson.outputs

    def outputs(self, network, images):
        if torch.is_grad_enabled() and len(images) > limit:
            raise torch.OutOfMemoryError("fake: out of memory")
        return real(self, network, images)

    return outputs


@row(55, "memory runs out: smaller micro-batches, the same effective batch")
def memory_short(folder: Path) -> None:
    whole = fit(folder / "whole")
    events = Events()
    with patched(ImageLesson, "outputs", short_of_memory(2)):
        trained = fit(folder / "a", listen=events)
    assert "memory ran out with 4 images at a time; going on with 2" in events.notes()
    for name, value in whole.backbone.state_dict().items():
        assert torch.allclose(trained.backbone.state_dict()[name].float(), value.float(), atol=1e-2), name
    with (patched(ImageLesson, "outputs", short_of_memory(0)),
          pytest.raises(ResourceError, match="memory ran out even with 1 images at a time")):
        fit(folder / "b")
