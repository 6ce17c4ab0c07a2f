"""`adapt` of a segmenter to a target, as far as masks differ from boxes."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import DataError
from tests.e2e.whole_domains import ADABN, MASKS, read


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MASKS.world(tmp_path_factory.mktemp("world"))


def test_a_strange_class_of_the_target_is_ignored_in_the_proof_alone(world, tmp_path):
    open_set = MASKS.dusk(tmp_path / "open", names=("red", "green"), count=6)
    found = MASKS.made(world, tmp_path / "run", ADABN, target=str(open_set))
    notes = [note["text"] for note in read(found, "run.json")["notes"]]
    assert any("an open set of classes: green is not known" in note for note in notes)
    counted = np.array(read(found, "details.json")["target"]["confusion"]).sum()
    masks = [np.asarray(Image.open(path)) for path in (open_set / "masks").iterdir()]
    assert counted == sum(int((mask <= 1).sum()) for mask in masks)
    assert read(found, "data.json")["target"]["images"] == 6


def test_a_mask_of_the_target_that_can_not_be_read_leaves_no_run(world, tmp_path):
    target = shutil.copytree(world / "target", tmp_path / "target")
    path = next((target / "masks").iterdir())
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"target"):
        MASKS.made(world, tmp_path / "run", ADABN, target=str(target))
    assert not (tmp_path / "run").exists()
