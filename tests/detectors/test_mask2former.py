"""Mask2Former: what it learns by and what it answers is the library's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

from headstart.backbones import resolve
from headstart.backbones.transformers_detectors_backbone import TransformersDetectorBackbone
from headstart.data.mask_crops import pasted
from headstart.data.regions import decoded
from headstart.detectors.detector import DETECTORS
from headstart.detectors.mask2former import Mask2Former
from headstart.detectors.mask_queries import MaskQueryHead
from headstart.errors import ConfigError
from headstart.tasks.detection import Detection
from tests.detectors.test_detectors import SIDES, SOME, backbone, images

SWIN = {"model_type": "swin", "embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 2, 4], "window_size": 4,
        "image_size": 64, "out_features": ["stage1", "stage2", "stage3", "stage4"]}

QUERIES = 12


def head(classes: int = 2, **settings: object) -> MaskQueryHead:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Detection(detector=Mask2Former(width=32, queries=QUERIES, layers=2, encoder_layers=1, points=400,  # type: ignore[arg-type]
                                              confidence=1e-6, **settings)).head(backbone(), classes)
    assert isinstance(made, MaskQueryHead)
    # Fresh masks are all alike: queries that differ more, as trained ones do.
    with torch.no_grad():
        made.model.model.transformer_module.queries_features.weight.mul_(5)  # type: ignore[union-attr, operator]
    return made


def answered(made: MaskQueryHead) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
    pixels = images()
    with torch.no_grad():
        return backbone().maps(pixels), pixels  # type: ignore[return-value]


def test_losses_are_those_that_the_library_gives_for_the_same_points() -> None:
    made = head().train()
    maps, pixels = answered(made)
    torch.manual_seed(5)
    found = made.losses(maps, pixels, SOME)
    torch.manual_seed(5)
    made.model.model.pixel_level_module.encoder.feed(maps)  # type: ignore[union-attr]
    theirs = made.model(pixels, mask_labels=[one["masks"].float() for one in SOME],
                        class_labels=[one["labels"] for one in SOME]).loss
    torch.testing.assert_close(torch.stack(list(found.values())).sum(), theirs.reshape(()))
    assert {"loss_cross_entropy", "loss_mask", "loss_dice", "loss_mask_0", "loss_mask_1"} <= set(found)


@pytest.mark.parametrize("most", [7, 100])
def test_objects_are_those_of_the_library_on_a_canvas_of_its_size(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library answers for squares of 384 pixels, with as many objects as there are queries."""
    made = head(most=most)
    coarse = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    pixels = torch.nn.functional.interpolate(coarse, size=(384, 384), mode="bicubic")
    with torch.no_grad():
        maps = backbone().maps(pixels)
        found = made.detect(maps, pixels)[0]
        answer = made._run(maps, pixels)
    theirs = Mask2FormerImageProcessor(num_labels=2).post_process_instance_segmentation(
        answer, threshold=0.0, return_binary_maps=True)[0]
    count = min(most, QUERIES)
    by_score = sorted(range(len(theirs["segments_info"])), key=lambda row: -theirs["segments_info"][row]["score"])
    expected = [theirs["segments_info"][row] for row in by_score]
    assert len(found["scores"]) >= count
    if most < QUERIES:  # the surest classes before the masks have their say
        assert all(any(abs(score - one["score"]) < 2e-6 for one in expected) for score in found["scores"].tolist())
        return
    scores = found["scores"].tolist()
    for row, one in zip(by_score, expected, strict=True):
        place = int(np.argmin(np.abs(np.array(scores) - one["score"])))
        assert scores[place] == pytest.approx(one["score"], abs=2e-6)
        assert int(found["labels"][place]) == one["label_id"]
        drawn = decoded(pasted(found["masks"][place].numpy(), found["boxes"][place].numpy(), (384, 384)))
        mask = theirs["segmentation"][row].numpy() == 1
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.9
        rows, columns = np.nonzero(mask)
        assert found["boxes"][place].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_what_stands_for_no_object_is_taken_over() -> None:
    old, new = head(2), head(5)
    with torch.no_grad():
        old.model.class_predictor.weight.normal_()  # type: ignore[union-attr, operator]
        new.take_over(old, [(4, 1)])
    mine, theirs = (one.model.class_predictor.weight for one in (new, old))  # type: ignore[union-attr]
    assert torch.equal(mine[-1], theirs[-1])  # type: ignore[index]
    assert torch.equal(mine[4], theirs[1])  # type: ignore[index]


def test_an_empty_mask_is_no_object() -> None:
    made = head()
    with torch.no_grad():
        last = made.model.model.pixel_level_module.decoder.mask_projection  # type: ignore[union-attr]
        last.weight.zero_()  # type: ignore[union-attr, operator]
        last.bias.zero_()  # type: ignore[union-attr, operator]
        maps, pixels = answered(made)
        assert [len(one["boxes"]) for one in made.detect(maps, pixels)] == [0, 0]
    assert pixels.shape[-2:] == SIDES


def test_what_would_have_no_effect_is_refused() -> None:
    with pytest.raises(ConfigError, match="detector mask2former: overlap would have no effect"):
        head(overlap=0.5)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mask2FormerForUniversalSegmentation]:
    """Return a folder that `save_pretrained` wrote, of a tiny model with random weights, and the model."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = Mask2FormerForUniversalSegmentation(Mask2FormerConfig(
            backbone_config=SWIN, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32,
            dim_feedforward=32, encoder_layers=1, decoder_layers=3, num_attention_heads=2, num_queries=9,
            id2label={0: "cat", 1: "person", 2: "cup"})).eval()
        for name, tensor in made.state_dict().items():
            if name.startswith("model.pixel_level_module.encoder") and tensor.ndim > 1 and tensor.is_floating_point():
                tensor.normal_(0, 0.2)
    folder = tmp_path_factory.mktemp("hub")
    made.save_pretrained(folder)
    return folder, made


def test_a_saved_model_gives_what_the_library_gives(published: tuple[Path, torch.nn.Module]) -> None:
    folder, theirs = published
    loaded, _ = resolve.load(f"transformers/mask2former@{folder}")
    assert isinstance(loaded, TransformersDetectorBackbone)
    assert loaded.brought is not None
    assert (loaded.brought.classes, loaded.strides, loaded.spec.family) == (
        ("cat", "person", "cup"), (4, 8, 16, 32), "Mask2Former")
    assert (loaded.spec.preprocessing.size, loaded.spec.preprocessing.fit) == (1333, "pad")
    made = DETECTORS.parse({"detector": "transformers"}).build(loaded, 3)
    assert isinstance(made, MaskQueryHead)
    made.model.load_state_dict(loaded.brought.tensors)
    with torch.no_grad():
        expected = theirs(images())
        answer = made._run(loaded.maps(images()), images())
    torch.testing.assert_close(answer.class_queries_logits, expected.class_queries_logits)
    torch.testing.assert_close(answer.masks_queries_logits, expected.masks_queries_logits)


def test_each_parameter_of_a_published_trunk_lies_in_one_stage(published: tuple[Path, torch.nn.Module]) -> None:
    loaded, _ = resolve.load(f"transformers/mask2former@{published[0]}")
    ids = [id(parameter) for stage in loaded.stages() for parameter in stage.parameters()]
    assert sorted(ids) == sorted(id(parameter) for parameter in loaded.parameters())
    assert len(loaded.stages()) >= 6
    grey, _ = resolve.load(f"transformers/mask2former@{published[0]}", channels=1)
    assert grey.maps(torch.rand(1, 1, 64, 96))[32].shape[2:] == (2, 3)


def test_files_of_other_detectors_are_refused(published: tuple[Path, torch.nn.Module], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"this is a mask2former, and transformers/rt_detr a rt_detr"):
        resolve.load(f"transformers/rt_detr@{published[0]}")
    config = json.loads((published[0] / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"no class_predictor.bias among its tensors, so that it is no Mask2Former"):
        resolve.load(f"transformers/mask2former@{tmp_path / 'model.pt'}")
