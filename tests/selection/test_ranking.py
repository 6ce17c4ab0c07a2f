"""The record of a ranking: what is written is read again, and found for the same data only."""

import json
import os

import pytest

from headstart.errors import ConfigError, IntegrityError
from headstart.selection.ranking import Ranked, Ranking, find_ranking

KNOWN = {"fingerprint": "a", "seed": 0, "val": 0.2, "test": 0.2}


def ranked(name: str, rank: int, **changes: object) -> Ranked:
    settings = {"name": name, "architecture": name, "size": 224, "own_size": True, "rank": rank, "rank_low": 1,
                "rank_high": 2, "value": 1.0, "accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95,
                "images": 100, "eliminated": False, "scores": {"knn": 0.5, "leep": None}}
    return Ranked(**(settings | changes))


def ranking(*names: str, **changes: object) -> Ranking:
    settings = {"data": "d", "known": KNOWN, "score": "default", "images": 100, "classes": 2, "seconds": 1.0,
                "candidates": tuple(ranked(name, place) for place, name in enumerate(names, 1)), "failed": {}}
    return Ranking(**(settings | changes))


def test_what_is_written_is_read_again(tmp_path):
    made = ranking("a", "b")
    made.save(tmp_path)
    assert Ranking.load(tmp_path).to_json() == made.to_json()
    assert Ranking.load(tmp_path).directory == tmp_path


def test_the_newest_ranking_of_the_same_data_is_found(tmp_path):
    for number, made in enumerate([ranking("old"), ranking("new"), ranking("other", known=KNOWN | {"seed": 1})]):
        (tmp_path / f"d-{number}").mkdir()
        made.save(tmp_path / f"d-{number}")
        os.utime(tmp_path / f"d-{number}" / "rank.json", (number, number))
    assert find_ranking(KNOWN, tmp_path).best.name == "new"
    assert find_ranking(KNOWN | {"fingerprint": "b"}, tmp_path) is None
    assert find_ranking(KNOWN, tmp_path / "absent") is None


def test_a_folder_without_a_ranking_and_a_damaged_one_say_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="headstart rank"):
        Ranking.load(tmp_path)
    (tmp_path / "rank.json").write_text('{"candidates": [{"name": "a"}]}')
    with pytest.raises(IntegrityError, match="not a whole ranking"):
        Ranking.load(tmp_path)
    whole = ranking("a").to_json()
    whole["candidates"][0]["accuracy"] = "high"
    (tmp_path / "rank.json").write_text(json.dumps(whole))
    with pytest.raises(IntegrityError, match=r"not a whole ranking \(1 validation error.*accuracy"):
        Ranking.load(tmp_path)


def test_a_newer_ranking_of_the_same_place_that_fits_no_longer_is_told_of_once(tmp_path):
    for number, made in enumerate([ranking("fits"), *(ranking("was", known=KNOWN | {"fingerprint": "x"}),) * 2]):
        (tmp_path / f"d-{number}").mkdir()
        made.save(tmp_path / f"d-{number}")
        os.utime(tmp_path / f"d-{number}" / "rank.json", (number, number))
    heard = []
    assert find_ranking(KNOWN, tmp_path, data=made.data, listen=heard.append).best.name == "fits"
    assert [event.text.split(": ")[0] for event in heard] == [str(tmp_path / "d-2")]
    assert "Rank anew with `headstart rank" in heard[0].text


def test_a_damaged_ranking_of_other_data_is_told_of_and_passed_over(tmp_path):
    for name in ("broken", "good"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "rank.json").write_text("{")
    ranking("a").save(tmp_path / "good")
    os.utime(tmp_path / "good" / "rank.json", (0, 0))
    heard = []
    assert find_ranking(KNOWN, tmp_path, listen=heard.append).best.name == "a"
    assert "passed over" in heard[0].text
