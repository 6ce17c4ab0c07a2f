from xml.etree import ElementTree

import pandas as pd
import pytest

from headstart.report import svg
from headstart.report.curves import learning_curves


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.5, 0.5), (0, 0), (-3, 1e6), (1e-9, 2e-9), (0.93, 0.97)])
def test_ticks_cover_the_range_with_few_round_numbers(low, high):
    marks = svg.ticks(low, high)

    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 9


def test_words_and_attributes_are_escaped():
    assert svg.text("<b> & \"c\"", 1, 2, class_='a"b').count("<") == 2


def test_curves_of_a_run_that_diverged_are_drawn_without_the_holes():
    history = pd.DataFrame({"method": "finetune", "epoch": [0, 1, 2], "train_loss": [1.0, float("inf"), 3e5],
                            "val_loss": [1.0, 0.5, None], "val_accuracy": [0.5, 0.7, None]})
    found = learning_curves(history, {"finetune": 1})[0]

    assert found.kept == 1
    assert all("nan" not in figure and "inf" not in figure for figure in found.figures)
    for figure in found.figures:
        ElementTree.fromstring(figure)
