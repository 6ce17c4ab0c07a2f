"""What an advice says in words."""

from dataclasses import replace

from headstart.selection import advise as advising
from headstart.selection.advice import Advice
from headstart.selection.advice_page import sentences
from headstart.selection.nearness import Nearness
from headstart.selection.options import Option
from headstart.selection.trial import Arm, Trial
from tests.selection.test_ranking import ranked, ranking

PROBE = Option("probe", "linear probe", "it must be beaten", [{"method": "probe"}], 0.711, 0.6, 0.8, 3.0)
ADVICE = Advice("d", {}, "b", None, "backbone: b, as it was asked for.", (), (PROBE,), 1.0)


def test_of_several_labels_an_image_the_share_is_that_of_the_labels():
    several = replace(ADVICE, multilabel=True)
    assert "of the labels of the held-out images to be right" in sentences(several)[1]
    assert "of the held-out images to be right" in sentences(ADVICE)[1]
    assert "labels" not in sentences(ADVICE)[1]
    assert "Expected share of right labels 71.1%" in several.why()
    two = ranking(candidates=(ranked("a", 1), ranked("b", 2)))
    trial = Trial(60, 60, 0.8, (Arm(3e-4, 0.02, 0.03, 0.0),), 0.1)
    words = replace(two, multilabel=True).counted(60)
    assert "on the labels of 60 images" in advising._trial_fact(trial, words).found
    assert "of the labels of " in advising._backbone_reason(replace(two, multilabel=True), "auto")


def test_where_nothing_fits_the_time_the_advice_says_so():
    late = replace(ADVICE, options=(replace(PROBE, fits=False),), known={"limit_time": 8.0}, seconds=7.25)
    said = ("No way fits into what this advice, which took 7.2 s, left of the 8 s that were given: this one is the "
            "quickest.")
    assert sentences(late)[1] == said
    assert said in late.why()
    assert not any("No way fits" in said for said in [*sentences(ADVICE), ADVICE.why()])


def test_where_no_classifier_was_asked_no_likeness_is_claimed():
    fact = advising._near_fact(Nearness(None, None, 0.3), "unknown")
    assert fact.found == "can't be told: no pretrained classifier was asked"
    assert fact.meaning.startswith("not known")
