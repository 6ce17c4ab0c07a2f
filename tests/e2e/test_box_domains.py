"""`adapt` of a detector to a target, as far as boxes differ from masks."""

import json
from pathlib import Path

import pytest

from headstart.errors import ConfigError, DataError
from tests.e2e.whole_domains import ADABN, BOXES, FDA, read


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BOXES.world(tmp_path_factory.mktemp("world"))


def test_boxes_of_a_class_that_the_source_does_not_know_are_left_out_of_the_proof_and_told_of(world, tmp_path):
    open_set = BOXES.dusk(tmp_path / "open", classes=("red", "green"), count=6)
    found = BOXES.made(world, tmp_path / "run", ADABN, target=str(open_set))
    notes = [note["text"] for note in read(found, "run.json")["notes"]]
    assert any("an open set of classes: green is not known to the source. Their boxes" in note for note in notes)
    rows = found.predictions.query("split == 'target'")
    assert len(rows) == 6
    names = found.data["classes"]
    assert {names[label] for labels in rows["true_labels"] for label in labels} == {"red"}


def test_a_target_whose_annotations_have_no_object_is_refused(world, tmp_path):
    target = BOXES.dusk(tmp_path / "target", count=6)
    file = target / "annotations.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    with pytest.raises(DataError, match=r"target .*none of its 6 images has an object.*target_format=images"):
        BOXES.made(world, tmp_path / "run", ADABN, target=str(target))
    assert not (tmp_path / "run").exists()


def test_boxes_of_the_target_count_as_much_as_the_sources_whatever_share_is_asked_for(world, tmp_path):
    few = str(BOXES.dusk(tmp_path / "few", count=3))
    found = BOXES.made(world, tmp_path / "run", FDA, target_train=few)
    assert any("each counting 1 times" in note for note in read(found, "data.json")["target_train"]["notes"])
    with pytest.raises(ConfigError, match="target_share: has no effect on detection"):
        BOXES.made(world, tmp_path / "refused", FDA, target_train=few, target_share=0.3)
