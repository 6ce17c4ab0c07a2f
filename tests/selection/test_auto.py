"""What `auto` takes: a ranking or an advice on the same data, and one flag overrides it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import headstart as hs
from headstart.backbones.timm_backbone import TimmBackbone
from headstart.errors import ConfigError
from headstart.events import Note
from headstart.features import store
from headstart.job import Job
from headstart.selection import advise as advising
from headstart.selection.curve import Curve
from headstart.selection.forecast import Forecast
from tests.selection.small import pool_on, write_data
from tests.selection.test_ranking import ranked, ranking

COMMON = {"fit": "squash", "tracking": "off", "device": "cpu"}


@pytest.fixture(scope="module")
def advised(data, alive, tmp_path_factory) -> hs.Run:
    """A run that followed an advice of its own making."""
    home = tmp_path_factory.mktemp("advised")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("HEADSTART_CACHE", str(home / "cache"))
        return hs.adapt(data, backbone=alive, image_size=32, method="auto", out=home / "run", **COMMON)


def test_method_auto_runs_what_the_advice_says_and_tells_why(advised):
    job = advised.job
    assert not job.advise
    assert job.method[0].part_name == "probe"
    notes = json.loads((advised.directory / "run.json").read_text())["notes"]
    assert any("method auto: " in str(note) and "Another one: --method NAME" in str(note) for note in notes)
    assert "method auto: " in (advised.directory / "report.html").read_text()


def test_the_run_of_an_advice_can_be_repeated_from_its_record(advised, tmp_path):
    again = hs.reproduce(advised, out=tmp_path / "again")
    assert again.metrics["accuracy"].value == advised.metrics["accuracy"].value


@pytest.fixture
def hasty(monkeypatch):
    """The short fine-tunings of an advice are of one epoch: how good they are is not what the test asks for."""
    monkeypatch.setattr("headstart.selection.trial.STEPS", 1)


@pytest.mark.usefixtures("hasty")
def test_an_advice_on_disk_is_followed_and_not_made_again(data, alive, monkeypatch, tmp_path):
    advice = hs.advise(data, backbone=alive, image_size=32, **COMMON)
    assert advice.directory == Path("advice/strips-1")
    assert (advice.directory / "advice.html").exists()
    monkeypatch.setattr("headstart.selection.advised.advise", lambda *words, **names: pytest.fail("made again"))
    run = hs.adapt(data, backbone=alive, image_size=32, method="auto", **COMMON)
    assert run.directory == Path("runs/strips-auto-1")
    assert [method.part_name for method in run.job.method] == [m["method"] for m in advice.settings()["method"]]


def test_backbone_auto_takes_the_first_of_a_ranking_of_the_same_data(data, alive, dead):
    ranking = hs.rank(data, backbones=[dead, alive], image_sizes=[32], **COMMON)
    assert ranking.best.architecture == alive
    heard = []
    run = hs.adapt(data, listen=heard.append, allow_licenses="any", **COMMON)
    assert (run.job.backbone, run.job.image_size) == (alive, 32)
    assert any(isinstance(event, Note) and "rank 1 of 2 in ranks/strips-1" in event.text for event in heard)


def test_a_ranking_of_other_data_or_of_another_split_is_not_taken(data, alive, tmp_path):
    hs.rank(data, backbones=[alive], image_sizes=[32], **COMMON)
    other = write_data(tmp_path / "other", each=30)
    for source, settings in ((other, {}), (data, {"seed": 1})):
        try:
            run = hs.adapt(source, **settings, image_size=32, **COMMON)
        except hs.HeadstartError:
            continue  # no packaged weights here to fall back to
        assert run.job.backbone != alive


def test_a_backbone_that_is_named_is_taken_whatever_the_ranking_says(data, alive, other):
    hs.rank(data, backbones=[alive], image_sizes=[32], **COMMON)
    assert hs.adapt(data, backbone=other, image_size=32, **COMMON).job.backbone == other


@pytest.mark.usefixtures("hasty")
def test_all_judgements_together_run_a_backbone_over_each_image_once(data, alive, monkeypatch):
    seen = []
    real = store.stream

    def stream(backbone, preprocessing, sources, **names):
        seen.extend((backbone.weights_hash(), str(source)) for source in sources)
        return real(backbone, preprocessing, sources, **names)

    monkeypatch.setattr(store, "stream", stream)
    plain = {"tracking": "off", "device": "cpu"}
    hs.rank(data, backbones=[alive], **plain)
    hs.advise(data, backbone=alive, **plain)
    hs.forecast(data, backbone=alive, **plain)
    assert len(set(seen)) == len(seen) == 64  # train and validation, and no image of test
    hs.find_label_errors(data, backbone=alive, **plain)
    assert len(set(seen)) == len(seen) == 80  # a wrong label may be anywhere
    hs.similar(data, next(data.glob("*/*.png")), backbone=alive)
    hs.adapt(data, backbone=alive, method="probe", **plain)
    assert len(seen) == 80


def test_auto_and_a_run_to_start_from_contradict_each_other(data, advised, tmp_path):
    with pytest.raises(ConfigError, match="leave init_from out"):
        hs.adapt(data, init_from=str(advised.directory), method="auto", out=tmp_path / "r", **COMMON)
    assert not (tmp_path / "r").exists()


def test_a_method_that_is_named_beats_an_advice_that_is_asked_for():
    assert not Job.parse({"data": "d", "advise": True, "method": "probe"}).advise
    auto = Job.parse({"data": "d", "method": "auto", "on_overfit": "stop"})
    assert auto.advise
    assert Job.parse(auto.model_dump(mode="json")) == auto


def test_the_size_and_backbone_of_the_job_are_those_that_are_ranked(data, alive):
    found = hs.rank(data, backbone=alive, image_size=32, **COMMON)
    assert [(item.architecture, item.size) for item in found.candidates] == [(alive, 32)]


def test_a_place_that_is_taken_is_refused_before_any_work(data, alive, tmp_path):
    (tmp_path / "file").write_text("mine")
    for verb in (hs.rank, hs.advise, hs.forecast):
        with pytest.raises(ConfigError, match="this is a file"):
            verb(data, backbone=alive, out=tmp_path / "file", **COMMON)


def test_a_search_and_auto_contradict_each_other(data):
    with pytest.raises(ConfigError, match="Name those to search"):
        hs.tune(data, method="auto", **COMMON)


def test_the_forecast_is_written_with_its_page(data, alive):
    found = hs.forecast(data, backbone=alive, image_size=32, targets=[0.99], **COMMON)
    assert found.directory == Path("forecasts/strips-1")
    assert set(found.record.ahead) == {"2", "4", "10"}
    assert "0.99" in found.record.targets
    assert "<svg" in (found.directory / "forecast.html").read_text()


def test_a_wrong_name_of_a_score_is_told_before_any_image_is_read(data, alive, monkeypatch):
    monkeypatch.setattr("headstart.selection.ranked.open_pool", lambda *words: pytest.fail("images were read"))
    for wrong in ({"score": "lgome"}, {"scores": "knn,lgome"}):
        with pytest.raises(ConfigError, match='Did you mean "logme"'):
            hs.rank(data, backbones=[alive], **wrong, **COMMON)


def test_advise_takes_of_a_ranking_only_what_the_licences_allow_and_says_where_it_is_from(data, alive, other, tmp_path):
    pool = pool_on(data, image_size=None)
    first, second = (ranked(name, place, license=name_of) for place, (name, name_of) in
                     enumerate([(other, "closed"), (alive, "MIT")], 1))
    (tmp_path / "ranks" / "d-1").mkdir(parents=True)
    ranking(known=pool.known_to(), candidates=(first, second)).save(tmp_path / "ranks" / "d-1")
    found = advising._ranking(pool, lambda event: None, lambda: 1e9)
    assert [item.name for item in found.candidates] == [alive]
    assert advising._backbone_reason(found, "auto") == \
        f"backbone auto: {alive}, the only candidate that is allowed in ranks/d-1."
    assert "as it was asked for" in advising._backbone_reason(found, alive)


def test_at_another_size_the_classifier_is_asked_at_its_own_and_no_unused_number_is_told(data, alive, monkeypatch):
    asked = []

    def answers(backbone, features):
        asked.append((backbone.spec.preprocessing.size, len(features)))
        return np.full((len(features), 4), 0.25)

    monkeypatch.setattr(TimmBackbone, "classifier", property(lambda backbone: torch.nn.Identity()))
    monkeypatch.setattr(advising, "source_probabilities", answers)
    monkeypatch.setattr(advising, "LOOKED", 5)
    pool = pool_on(data, backbone=alive, image_size=48)
    listen, remaining = lambda event: None, lambda: 1e9
    found = advising._ranking(pool, listen, remaining)
    backbone, _ = advising._load(pool, found.best)
    rows = np.arange(20)
    near = advising._nearness(pool, found, backbone, pool.features(backbone, rows, listen), rows, remaining)
    assert asked == [(48, 20), (160, 5)]
    assert near.confidence == 0.25
    assert advising._near_fact(near, "far").found == \
        "the pretrained classifier, at its own input size, is 25% sure of its answers (entropy 100%)"


def test_where_the_first_has_no_classifier_the_next_that_has_one_is_asked(data, alive, other, monkeypatch):
    monkeypatch.setattr(TimmBackbone, "classifier", property(
        lambda backbone: None if backbone.spec.architecture == alive else torch.nn.Linear(backbone.width, 4)))
    pool = pool_on(data, image_size=48)
    found = ranking(candidates=tuple(ranked(name, place, own_size=False, size=48)
                                     for place, name in enumerate([alive, other], 1)))
    backbone, _ = advising._load(pool, found.best)
    listen, rows = lambda event: None, np.arange(20)
    features = pool.features(backbone, rows, listen)
    assert advising._nearness(pool, found, backbone, features, rows, lambda: 1e9).confidence is not None
    assert advising._nearness(pool, found, backbone, features, rows, lambda: 0.0).confidence is None


def test_more_labels_are_compared_on_one_curve_so_that_no_rise_is_told_as_a_loss():
    # The last measured point (0.772) lies above the curve, as one of a few folds may.
    curve = Curve(np.array([40, 80, 160]), np.array([[0.68] * 4, [0.71] * 4, [0.772] * 4]), 40, np.zeros((3, 2)))
    grid = np.geomspace(40, 6400, 80)
    ahead = Forecast(curve, "pow", {"pow": 1.0}, np.tile(0.74 + 0.02 * np.log2(grid / 160), (5, 1)), grid)
    fact = advising._labels_fact(ahead)
    assert fact.found == ("twice as many change the probe by +2.0 points on its fitted curve: from 74.0% with 160 to "
                          "76.0% (76.0% to 76.0%) with 320")
    assert fact.meaning == "labelling more pays"
    unsure = dataclasses.replace(ahead, draws=ahead.draws + np.linspace(-0.04, 0.04, 5)[:, None])
    assert advising._labels_fact(unsure).meaning == "labelling more may pay; these images are too few to be sure"


def test_where_the_advice_itself_took_the_time_nothing_is_said_to_fit(data, alive, monkeypatch):
    monkeypatch.setattr(advising, "short_tuning", lambda *words, **names: "time")
    pool = pool_on(data, backbone=alive, limit_time=0.01)
    found = advising.advise(pool, listen=lambda event: None, remaining=lambda: 1e9)
    assert not any(option.fits for option in found.options)
    assert found.best.name == "probe"
    assert "No way fits into what this advice, which took" in found.why()
