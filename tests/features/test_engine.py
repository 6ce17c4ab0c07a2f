"""Features are those of the float32 backbone in eval mode, however they are computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.errors import DataError, IntegrityError
from headstart.events import Event, Finished, Note, Progress, Started, silent
from headstart.features import engine
from headstart.features.engine import extract
from headstart.features.exported import graph
from tests.features.conftest import SMALL, Counting


def by_hand(backbone: Counting, paths: list[Path]) -> np.ndarray:
    """One picture at a time through the plain module, in NCHW."""
    backbone.eval()
    with torch.no_grad():
        return np.concatenate([backbone.pooled(SMALL(path)[None]).numpy() for path in paths])


@pytest.mark.parametrize("count", [0, 1, 5, 47, 48, 60])
def test_features_are_those_of_the_plain_backbone(backbone: Counting, pictures: list[Path], count: int) -> None:
    expected = by_hand(backbone, pictures[:count]) if count else np.zeros((0, 12), np.float32)
    found = extract(backbone, SMALL, pictures[:count], listen=silent)
    assert found.dtype == np.float32
    assert found.shape == (count, 12)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("count", "size", "name"), [(47, 224, "eager"), (48, 224, "exported"), (191, 112, "eager"),
                                                     (192, 112, "exported")])
def test_an_export_must_be_won_back_by_the_pixels(monkeypatch: pytest.MonkeyPatch, count: int, size: int,
                                                  name: str) -> None:
    monkeypatch.undo()
    assert engine.engine_name(count, size, device="cpu") == name


def test_many_images_run_outside_pytorch(backbone: Counting, pictures: list[Path]) -> None:
    extract(backbone, SMALL, pictures, listen=silent)
    assert backbone.runs == 1 + engine.CHECKED  # traced once, and compared on four


def test_two_runs_give_the_same_bits_with_any_number_of_threads(backbone: Counting, pictures: list[Path]) -> None:
    first = extract(backbone, SMALL, pictures, listen=silent, workers=1)
    engine._exported.clear()
    second = extract(backbone, SMALL, pictures, listen=silent, workers=3, batch_size=7)
    assert first.tobytes() == second.tobytes()


def test_a_vector_does_not_depend_on_the_images_beside_it(backbone: Counting, pictures: list[Path]) -> None:
    whole = extract(backbone, SMALL, pictures, listen=silent)
    backwards = extract(backbone, SMALL, pictures[::-1], listen=silent)
    assert whole.tobytes() == backwards[::-1].tobytes()


@pytest.mark.parametrize("count", [4, 60])
def test_the_backbone_is_left_as_it_was(backbone: Counting, pictures: list[Path], count: int) -> None:
    backbone.train()
    backbone.body[1].eval()
    before = backbone.weights_hash()
    extract(backbone, SMALL, pictures[:count], listen=silent)
    assert backbone.weights_hash() == before
    assert [module.training for module in backbone.body] == [True, False, True, True, True, True]
    assert all(p.is_contiguous() for p in backbone.parameters())


@pytest.mark.parametrize("count", [4, 60])
def test_changed_weights_give_other_features(backbone: Counting, pictures: list[Path], count: int) -> None:
    before = extract(backbone, SMALL, pictures[:count], listen=silent)
    with torch.no_grad():
        backbone.body[3].weight[0, 0, 0, 0] += 0.5
    after = extract(backbone, SMALL, pictures[:count], listen=silent)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, by_hand(backbone, pictures[:count]), atol=1e-5)


@pytest.mark.parametrize("count", [6, 60])
def test_a_broken_image_is_named(backbone: Counting, pictures: list[Path], count: int) -> None:
    pictures[5].write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"005\.png"):
        extract(backbone, SMALL, pictures[:count], listen=silent)


@pytest.mark.parametrize("count", [6, 60])
def test_a_broken_image_can_be_told_and_passed_over(backbone: Counting, pictures: list[Path], count: int) -> None:
    whole = extract(backbone, SMALL, pictures[:count], listen=silent)
    pictures[5].write_bytes(b"not an image")
    errors: dict[int, str] = {}
    found = extract(backbone, SMALL, pictures[:count], listen=silent, errors=errors)
    assert list(errors) == [5]
    assert "005.png" in errors[5]
    assert np.isnan(found[5]).all()
    assert np.delete(found, 5, 0).tobytes() == np.delete(whole, 5, 0).tobytes()


def test_a_model_that_cannot_be_exported_is_run_by_pytorch_and_says_so(
        backbone: Counting, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise RuntimeError("no symbol for aten::strange")

    monkeypatch.setattr("headstart.features.exported.graph", refuse)
    heard: list[Event] = []
    found = extract(backbone, SMALL, pictures, listen=heard.append)
    notes = [event.text for event in heard if isinstance(event, Note)]
    assert notes == ["counting can't be exported (RuntimeError: no symbol for aten::strange); PyTorch computes its "
                     "features, more slowly."]
    np.testing.assert_allclose(found, by_hand(backbone, pictures), atol=1e-5)


def test_a_graph_that_disagrees_with_pytorch_is_not_used(
        backbone: Counting, pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    other = Counting()
    with torch.no_grad():
        other.body[3].bias[0] += 1
    wrong = graph(other, SMALL)
    monkeypatch.setattr("headstart.features.exported.graph", lambda *_: wrong)
    heard: list[Event] = []
    found = extract(backbone, SMALL, pictures, listen=heard.append)
    assert any(isinstance(event, Note) and "differs from PyTorch" in event.text for event in heard)
    np.testing.assert_allclose(found, by_hand(backbone, pictures), atol=1e-5)


def test_a_graph_above_two_gigabytes_is_refused(backbone: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.features.exported.LARGEST_BYTES", 100)
    with pytest.raises(ValueError, match="an ONNX graph in one piece holds 2"):
        graph(backbone, SMALL)


@pytest.mark.parametrize("count", [4, 60])
def test_damaged_weights_are_an_error_and_not_a_feature(
        backbone: Counting, pictures: list[Path], count: int) -> None:
    with torch.no_grad():
        backbone.body[3].weight.fill_(float("nan"))
    with pytest.raises(IntegrityError, match=r"000\.png: counting gives NaN or infinity"):
        extract(backbone, SMALL, pictures[:count], listen=silent)


def test_progress_counts_up_to_the_whole(backbone: Counting, pictures: list[Path]) -> None:
    heard: list[Event] = []
    extract(backbone, SMALL, pictures, listen=heard.append, step="look")
    done = [event.done for event in heard if isinstance(event, Progress)]
    assert heard[0] == Started("look", 60, "images")
    assert done == sorted(set(done))
    assert done[-1] == 60
    assert isinstance(heard[-1], Finished)


def test_only_a_few_batches_are_decoded_ahead(backbone: Counting, pictures: list[Path]) -> None:
    opened: list[int] = []

    def source(i: int) -> bytes:
        opened.append(i)
        return pictures[i].read_bytes()

    calls = [lambda i=i: source(i) for i in range(60)]
    rows = engine.stream(backbone, SMALL, calls, listen=silent, count=10, workers=1, batch_size=2)
    next(rows)
    assert len(opened) <= 2 * 4
    rows.close()
    assert len(opened) <= 2 * 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_features_point_the_same_way(backbone: Counting, pictures: list[Path]) -> None:
    expected = by_hand(backbone, pictures)
    found = extract(backbone, SMALL, pictures, listen=silent, device="cuda")
    cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosine.min() > 0.999
