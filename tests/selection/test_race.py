"""The race: who goes on, who is sent off, and what each picture costs."""

from collections import Counter

import numpy as np
import pytest

from headstart.data.transforms import Preprocessing
from headstart.errors import ConfigError
from headstart.events import Note, silent
from headstart.scores.score import SCORES
from headstart.selection import race as racing
from headstart.selection.candidates import Candidate, Wanted, find_candidates
from headstart.selection.costs import Cost
from headstart.selection.evidence import Evidence
from headstart.selection.race import Runner, heats, survivors
from headstart.selection.rank import rank
from headstart.selection.rank_page import sentences
from tests.selection.small import pool_on, write_data


def runner(values, *, images=10):
    made = Runner(Candidate("x", None, None, None), images=images)
    made.evidence = Evidence(float(np.mean(values)), np.asarray(values, float), 0.5, (0.4, 0.6))
    return made


def test_heats_grow_to_all_images():
    assert heats(100, 2) == [100]
    assert heats(2000, 2) == [128, 512, 2000]
    assert heats(2000, 100) == [800, 2000]


def test_only_who_is_clearly_behind_is_sent_off():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=200)
    best, close, behind, far = (runner(level + noise * 0.1) for level in (1.0, 0.99, 0.5, 0.2))
    lucky = runner(0.4 + rng.normal(size=200) * 2)  # in the worse half, but nobody can tell
    assert survivors([best, close, behind, far, lucky]) == [best, close, behind, lucky]


def test_a_candidate_that_fails_is_told_and_the_others_are_ranked(data, alive, monkeypatch):
    pool, heard = pool_on(data), []
    good = find_candidates(Wanted(backbones=(alive,), sizes=(32,)))[0]

    def broken():
        raise RuntimeError("no such layer\nand more lines")

    found = rank(pool, [Candidate("bad", good.spec, None, broken), good], listen=heard.append)
    assert [item.name for item in found.candidates] == [good.name]
    assert found.failed == {"bad": "no such layer"}
    assert any(isinstance(event, Note) and event.text == "bad is left out: no such layer" for event in heard)


def test_where_every_candidate_fails_the_reasons_are_given(data):
    def broken():
        raise RuntimeError("no such layer")

    spec = find_candidates(Wanted(backbones=("resnet18",)))[0].spec
    with pytest.raises(ConfigError, match="bad: no such layer"):
        rank(pool_on(data), [Candidate("bad", spec, None, broken)], listen=silent)


def test_when_the_time_is_up_the_rest_is_not_tried(data, alive, other):
    left = iter([1.0, 0.0, 0.0, 0.0])
    found = rank(pool_on(data), find_candidates(Wanted(backbones=(alive, other), sizes=(32,))), listen=silent,
                 remaining=lambda: next(left, 0.0))
    assert len(found.candidates) == 1
    assert list(found.failed.values()) == ["not tried: the time was up"]


def test_each_picture_is_decoded_once_for_all_candidates_of_one_size(data, alive, other, monkeypatch):
    decoded = Counter()
    real = Preprocessing.pixels

    def pixels(self, source):
        decoded[str(source), self.size] += 1
        return real(self, source)

    pool = pool_on(data)
    monkeypatch.setattr(Preprocessing, "pixels", pixels)
    candidates = find_candidates(Wanted(backbones=(alive, other), sizes=(32, 48)), fit="squash")
    rank(pool, candidates, listen=silent)
    # The first pictures are decoded once more, to compare each exported graph with PyTorch.
    checked = {str(sample.source) for sample in pool.images.samples[:4]}
    assert {size for _, size in decoded} == {32, 48}
    assert {count for (name, _), count in decoded.items() if name not in checked} == {1}


def test_who_is_sent_off_early_ranks_below_who_saw_every_image(alive, dead, monkeypatch, tmp_path):
    monkeypatch.setattr(racing, "FIRST", 96)
    data = write_data(tmp_path / "many", each=130)
    found = rank(pool_on(data), find_candidates(Wanted(backbones=(dead, alive), sizes=(32,))), listen=silent)
    assert [item.architecture for item in found.candidates] == [alive, dead]
    assert [item.eliminated for item in found.candidates] == [False, True]
    assert found.candidates[1].images < found.candidates[0].images == len(pool_on(data).images)


def test_a_heat_that_not_all_could_finish_decides_nothing(alive, other, monkeypatch, tmp_path):
    monkeypatch.setattr(racing, "FIRST", 24)
    left = iter([1.0, 1.0, 1.0, 1.0, 0.0])  # both in the first heat, one in the second
    candidates = find_candidates(Wanted(backbones=(alive, other), sizes=(32,)))
    found = rank(pool_on(write_data(tmp_path / "d", each=40)), candidates, listen=silent,
                 remaining=lambda: next(left, 0.0))
    assert [item.images for item in found.candidates] == [24, 24]
    assert not any(item.eliminated for item in found.candidates)


def test_a_heat_that_would_outlast_the_time_is_not_begun(alive, other, monkeypatch, tmp_path):
    monkeypatch.setattr(racing, "FIRST", 24)
    monkeypatch.setattr(racing, "measure", lambda *words, **names: Cost(1, 1.0, images_per_second=1.0, training_mb=1.0))
    candidates = find_candidates(Wanted(backbones=(alive, other), sizes=(32,)))
    pool = pool_on(write_data(tmp_path / "d", each=40))
    found = rank(pool, candidates, listen=silent, remaining=lambda: 30.0)
    assert [item.images for item in found.candidates] == [24, 24]


def test_a_heat_that_is_taken_back_takes_its_scores_along():
    made = runner([1.0], images=96)
    made.scores, made.before = {"knn": 0.9}, (24, made.evidence, {"knn": 0.5})
    racing._take_back([made], 96)
    assert (made.images, made.scores) == (24, {"knn": 0.5})


def test_a_score_beside_that_fails_costs_no_place_and_is_told(data, alive, monkeypatch):
    def broken(self, *words):
        raise ValueError("singular")

    monkeypatch.setattr(type(SCORES.get("logme")()), "__call__", broken)
    heard = []
    found = rank(pool_on(data), find_candidates(Wanted(backbones=(alive,), sizes=(32,))), others=["logme", "knn"],
                 listen=heard.append)
    assert not found.failed
    assert found.best.scores["logme"] is None
    assert found.best.scores["knn"] is not None
    assert any(isinstance(event, Note) and "logme can't be computed: singular" in event.text for event in heard)


def test_a_handful_of_images_ranks_nobody(alive, dead, tmp_path):
    heard = []
    found = rank(pool_on(write_data(tmp_path / "few", each=14)),
                 find_candidates(Wanted(backbones=(dead, alive), sizes=(32,))), listen=heard.append)
    assert found.images < 30
    assert [(item.rank_low, item.rank_high) for item in found.candidates] == [(1, 2), (1, 2)]
    assert any(isinstance(event, Note) and "too few to rank" in event.text for event in heard)
    assert any("too few to rank" in line for line in sentences(found))


def test_the_frontier_is_of_accuracy_and_speed_as_the_page_draws_it(data, alive, other):
    found = rank(pool_on(data), find_candidates(Wanted(backbones=(alive, other), sizes=(32, 48))), listen=silent)
    for item in found.candidates:
        beaten = any(o.accuracy >= item.accuracy and o.images_per_second >= item.images_per_second
                     and (o.accuracy, o.images_per_second) != (item.accuracy, item.images_per_second)
                     for o in found.candidates)
        assert item.frontier is not beaten
