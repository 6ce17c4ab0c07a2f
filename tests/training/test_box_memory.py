"""Memory of a detector's training: how many pictures go at once is found, and where memory runs out fewer go on."""

from pathlib import Path

import pytest
import torch

from headstart.events import silent
from headstart.training import batch_finder, whole_lesson
from headstart.training.box_lesson import BoxLesson
from headstart.training.memory_faults import is_out_of_memory
from headstart.training.train import train
from tests.detectors import ON_ANY_BACKBONE
from tests.training.small import Events, context, digest
from tests.training.test_box_lesson import model, plan, splits

FAULTS = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
          RuntimeError("CUDA error: out of memory"),
          RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")]


def failing_beyond(most: int, fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the loss of more than `most` pictures at once run out of memory; return what is asked for."""
    real, asked = BoxLesson.backward, []

    def backward(self, network, prepared, batch, rows):  # type: ignore[no-untyped-def]
        asked.append(len(rows))
        if len(rows) > most:
            raise fault
        return real(self, network, prepared, batch, rows)

    monkeypatch.setattr(BoxLesson, "backward", backward)
    return asked


@pytest.mark.parametrize("detector", ON_ANY_BACKBONE)
def test_auto_takes_the_whole_batch_where_memory_allows(tmp_path: Path, detector: str) -> None:
    events = Events()
    train(model(detector), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto"), context(tmp_path, events))
    assert "4 images go through the network at once, 4 make a step" in events.notes()


@pytest.mark.parametrize(("detector", "least"), [("fcos", 1), ("faster_rcnn", 1), ("ssdlite", 2)])
def test_auto_takes_little_where_little_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       detector: str, least: int) -> None:
    """Two at least where BatchNorm learns, which is what then goes through the network."""
    monkeypatch.setattr(batch_finder, "free_memory", lambda: 1.0)
    events = Events()
    train(model(detector), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto"), context(tmp_path, events))
    assert f"{least} images go through the network at once" in events.notes()


@pytest.mark.parametrize("detector", ["fcos", "faster_rcnn"])
def test_what_is_measured_of_a_picture_grows_with_its_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                           detector: str) -> None:
    """At least the backbone's first map in float32 is kept of each picture; far less than memory is."""
    seen: list[float] = []
    real = batch_finder.bytes_per_image
    monkeypatch.setattr(batch_finder, "bytes_per_image", lambda learner: (seen.append(real(learner)), seen[-1])[1])
    train(model(detector), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto"), context(tmp_path, silent))
    assert 64 * 64 * 4 < seen[0] < 100e6


@pytest.mark.parametrize("fault", FAULTS, ids=["cuda", "driver", "cpu"])
def test_auto_halves_until_a_detector_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                           fault: BaseException) -> None:
    asked, events = failing_beyond(3, fault, monkeypatch), Events()
    trained = train(model(), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto", batch_size=12),
                    context(tmp_path, events))
    assert "3 images go through the network at once, 12 make a step" in events.notes()
    assert asked[:4] == [batch_finder.PROBED, 12, 6, 3]
    assert all(torch.isfinite(p).all() for p in trained.head.parameters())


@pytest.mark.parametrize("fault", FAULTS, ids=["cuda", "driver", "cpu"])
def test_memory_that_runs_out_in_training_goes_on_with_fewer_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                     fault: BaseException) -> None:
    parts, events = splits(tmp_path / "data"), Events()
    by_hand = train(model(), parts, plan(epochs=1, micro_batch=2), context(tmp_path / "hand", silent))
    failing_beyond(2, fault, monkeypatch)
    trained = train(model(), parts, plan(epochs=1), context(tmp_path / "failing", events))
    assert "memory ran out with 4 images at a time; going on with 2" in events.notes()
    assert digest(trained) == digest(by_hand)


def test_other_faults_of_cuda_are_none_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))
    assert not is_out_of_memory(ValueError("CUDA error: out of memory"))


def test_maps_are_kept_in_the_memory_of_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lie where the backbone computes them: how much the computer has says nothing of a small accelerator."""
    asked: list[str] = []
    monkeypatch.setattr(whole_lesson, "available", lambda device: (asked.append(device), 0.0)[1])
    BoxLesson(model(), splits(tmp_path / "data"), plan(scope="head", augment="none"),
              context(tmp_path, silent, device="cuda"))
    assert asked == ["cuda"]
