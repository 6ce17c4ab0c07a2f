"""The metrics are those of COCO's own code and of a kept library, on real annotations."""

import pytest

from headstart.evaluation.boxes.coco import _dataset, _results, coco_metrics
from headstart.metrics.boxes import NAMES, detection_metrics, truth_of
from headstart.types import Instance
from tests.metrics.boxes.cells import CLASSES, cells
from tests.metrics.boxes.slow import said

SCENES = [{}, {"seed": 1, "digits": 1}, {"seed": 2, "crowd": 0.1}, {"seed": 3, "difficult": 0.1, "digits": 2}]


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_our_values_are_those_of_the_library_on_real_annotations(scene):
    given = cells(**scene)
    ours, theirs = (measure(given.found, given.truths, 3) for measure in (detection_metrics, coco_metrics))
    assert ours == pytest.approx(theirs, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_our_values_are_those_of_pycocotools_on_real_annotations(scene, capsys):
    """By its default settings and printed summary; it must not be given what is not checked."""
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    given = cells(**scene)
    truth = coco.COCO()
    truth.dataset = _dataset(given.truths, len(CLASSES))
    truth.createIndex()
    measured = evaluation.COCOeval(truth, truth.loadRes(_results(given.found)), "bbox")
    measured.evaluate()
    measured.accumulate()
    measured.summarize()
    capsys.readouterr()
    theirs = dict(zip(NAMES, measured.stats, strict=True))
    assert detection_metrics(given.found, given.truths, 3) == pytest.approx(theirs, abs=1e-6)


HERE = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize(("found", "truths"), [
    ([said()], [truth_of([Instance(0, HERE)])]),
    ([said((*HERE, 0.5, 0))], [truth_of([])]),
    ([said(), said()], [truth_of([]), truth_of([])]),
    ([said((*HERE, 0.5, 1))], [truth_of([Instance(0, HERE)])]),
    ([said(*[(*HERE, 0.5, 0)] * 120), said()], [truth_of([Instance(0, HERE)]), truth_of([Instance(1, HERE)])]),
    ([said((0, 0, 0, 0, 0.5, 0))], [truth_of([Instance(0, HERE)])]),
], ids=["no detection", "no object", "nothing", "another class", "too many", "an empty box"])
def test_the_library_agrees_at_the_edges(found, truths):
    assert detection_metrics(found, truths, 2) == pytest.approx(coco_metrics(found, truths, 2), abs=1e-9, nan_ok=True)
