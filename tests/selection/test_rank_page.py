"""The page of a ranking: true sentences, and every score that was asked for."""

import pytest

from headstart.selection.rank_page import frontier, sentences, write_rank_page
from tests.selection.test_ranking import ranked, ranking


def test_one_that_can_t_be_told_apart_is_that_one_and_several_are_one_of_them():
    speed = {"images_per_second": 10.0}
    two, three = (ranking(candidates=tuple(ranked(name, place, **speed) for place, name in enumerate(names, 1)))
                  for names in ("ab", "abc"))
    assert "can't tell it from b: taking that one instead" in " ".join(sentences(two))
    assert "can't tell it from b and c: taking one of them instead" in " ".join(sentences(three))


def test_one_candidate_that_was_behind_is_singular():
    found = ranking(candidates=(ranked("a", 1), ranked("b", 2, eliminated=True, rank_low=2)))
    assert "1 candidate was clearly behind" in " ".join(sentences(found))


def test_a_lower_accuracy_that_ranks_first_is_explained():
    found = ranking(candidates=(ranked("a", 1), ranked("b", 2, accuracy=0.93)))
    said = " ".join(sentences(found))
    assert "b has the higher probe accuracy" in said
    assert "the order does not go by it but by how sure the probe is" in said


def test_the_scores_that_were_asked_for_stand_on_the_page(tmp_path):
    speed = {"images_per_second": 10.0}
    write_rank_page(ranking(candidates=(ranked("a", 1, scores={"knn": 0.512, "leep": None}, **speed),)), tmp_path)
    page = (tmp_path / "rank.html").read_text()
    assert "Other scores" in page
    assert "0.512" in page
    assert "leep" in page


@pytest.mark.parametrize(("speeds", "marks"), [((100.0, 10.0, 5.0), ("10", "100", "200")),
                                               ((165.0, 111.0), ("6.1", "9.0")), ((100.0,), ("10",))])
def test_the_axis_of_time_says_how_far_candidates_lie_apart(speeds, marks):
    drawn = frontier([ranked(str(place), place, images_per_second=speed) for place, speed in enumerate(speeds, 1)])
    assert all(f">{mark}</text>" in drawn for mark in marks)
