import dataclasses
from pathlib import Path

import numpy as np
import pytest

from headstart.backbones.backbone import Backbone
from headstart.backbones.resolve import load
from headstart.distances.distance import DISTANCES, Measured
from headstart.errors import DataError
from headstart.events import silent
from headstart.features.engine import extract
from headstart.selection.apart import CLEAR, SEVERE, Apart, Gap, apart
from tests.selection.scenes import blurred, noisy, paled, write_scenes


def cloud(count: int, shift: float = 0.0, *, seed: int, width: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, width)) + shift


def apart_by(*, low: float = 1.0, halves: tuple[float, ...] = (0.1,), p: float = 0.002, share: float = 0.0) -> Apart:
    gaps = {"proxy_a": Gap("proxy_a", Measured(1.2, low, 1.4), halves, None, {}),
            "mmd": Gap("mmd", Measured(0.1, p_value=p), (), None, {}),
            "frechet": Gap("frechet", Measured(10 * share), (), None, {})}
    return Apart(gaps, 10.0, (100, 100))


def test_two_samples_of_one_population_have_no_mismatch():
    found = apart(cloud(120, seed=1), cloud(90, seed=2), seed=0)
    assert found.level() == "none"
    assert list(found.gaps)[:3] == ["proxy_a", "mmd", "frechet"]
    assert sorted(found.gaps) == DISTANCES.names()


def test_a_set_against_itself_has_none():
    points = cloud(60, seed=1)
    assert apart(points, points, seed=0).level() == "none"


def test_the_halves_say_what_would_be_if_nothing_differed():
    found = apart(cloud(200, seed=1), cloud(150, 3.0, seed=2), seed=0)
    assert found.level() == "severe"
    for gap in found.gaps.values():
        assert len(gap.halves) == 3
        assert gap.name == "coral" or gap.whole.value > max(gap.halves)
    # What few images lift is measured on as many of each set as the halves have.
    coral = found.gaps["coral"]
    assert min(coral.halves) / 4 < coral.whole.value < 4 * max(coral.halves)


@pytest.mark.parametrize(("found", "loss", "level"), [
    (apart_by(low=0.05, p=0.2), None, "none"),
    (apart_by(low=0.05, p=0.2, share=0.9), 0.4, "none"),
    (apart_by(low=0.2, p=0.2), None, "slight"),
    (apart_by(low=0.05, p=0.002), None, "slight"),
    (apart_by(low=-0.1, halves=(-0.2,), p=0.2), None, "none"),
    (apart_by(share=CLEAR), None, "clear"),
    (apart_by(share=SEVERE), None, "severe"),
    (apart_by(), 0.06, "clear"),
    (apart_by(share=0.2), 0.25, "severe"),
    (apart_by(), -0.3, "slight")])
def test_the_level_follows_its_rule(found, loss, level):
    assert found.level(loss) == level


def test_within_classes_another_mix_of_classes_is_no_distance():
    def mixed(counts: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [cloud(count, 4.0 * label, seed=seed + label) for label, count in enumerate(counts)]
        return np.concatenate(parts), np.repeat([0, 1], counts)

    (first, labels), (second, others) = mixed((200, 60), 1), mixed((60, 200), 11)
    found = apart(first, second, seed=0, labels=(labels, others), classes=("a", "b"))
    for name in ("proxy_a", "mmd", "frechet"):
        gap = found.gaps[name]
        assert set(gap.classes) == {"a", "b"}
        assert gap.within == pytest.approx(np.mean(list(gap.classes.values())))
        assert abs(gap.within) < 0.3 * gap.whole.value


def test_classes_with_few_images_and_strange_ones_are_left_out():
    labels, others = np.repeat([0, 1, 2], [20, 20, 5]), np.repeat([0, 1, -1], [20, 7, 18])
    found = apart(cloud(45, seed=1), cloud(45, seed=2), seed=0, labels=(labels, others), classes=("a", "b", "c"))
    assert set(found.gaps["mmd"].classes) == {"a"}
    strange = labels, np.full(45, -1)
    none = apart(cloud(45, seed=1), cloud(45, seed=2), seed=0, labels=strange, classes=("a", "b", "c"))
    assert none.gaps["mmd"].within is None


def test_the_same_seed_gives_the_same_numbers():
    sets = cloud(50, seed=1), cloud(40, 0.3, seed=2)
    assert dataclasses.asdict(apart(*sets, seed=4)) == dataclasses.asdict(apart(*sets, seed=4))


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="5 and 40 images are too few to compare; 6 of each"):
        apart(cloud(5, seed=1), cloud(40, seed=2), seed=0)


def features(backbone: Backbone, folder: Path) -> np.ndarray:
    """Features of the pictures, seen along 64 random directions, which keep distances and cost less."""
    found = extract(backbone, backbone.spec.preprocessing, sorted(folder.rglob("*.png")), listen=silent)
    return found @ np.random.default_rng(0).normal(size=(found.shape[1], 64)) / 8


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load("efficientnet_lite0", size=64)[0]


@pytest.fixture(scope="module")
def clean(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return features(backbone, write_scenes(tmp_path_factory.mktemp("clean"), (20, 20), seed=1))


@pytest.mark.parametrize("spoils", [[blurred(0.5), blurred(1)], [noisy(15), noisy(90)], [paled(0.6), paled(0.1)]],
                         ids=["blur", "noise", "contrast"])
def test_growing_corruption_gives_growing_distance(spoils, backbone, clean, tmp_path, monkeypatch):
    monkeypatch.setattr("headstart.selection.apart.HALVINGS", 1)
    folders = [write_scenes(tmp_path / str(place), (20, 20), seed=2, spoil=spoil)
               for place, spoil in enumerate([None, *spoils])]
    found = [apart(clean, features(backbone, folder), seed=0) for folder in folders]
    assert found[0].level() == "none"
    assert found[-1].level() == "severe"
    for name in ("mmd", "frechet"):
        values = [one.gaps[name].whole.value for one in found]
        assert values == sorted(values), name
    # Near 2, where the sets can always be told apart, one image more or less is chance.
    proxies = [min(1.9, one.gaps["proxy_a"].whole.value) for one in found]
    assert proxies == sorted(proxies)
