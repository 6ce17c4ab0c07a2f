"""Candidates: which models a wish names."""

import pytest

from headstart.errors import ConfigError, HeadstartError
from headstart.selection.candidates import Wanted, find_candidates


def names(**wishes: object) -> list[str]:
    return [candidate.name for candidate in find_candidates(Wanted(**wishes))]


def test_without_a_wish_only_what_needs_no_download_is_tried():
    assert {candidate.spec.availability for candidate in find_candidates(Wanted())} == {"here"}


def test_the_filters_narrow_what_is_named():
    assert names(family="resnet", max_params=12e6, source="timm") == ["resnet18"]
    named = ("resnet18", "efficientnet_b0")
    assert names(backbones=named) == ["efficientnet_b0", "resnet18"]
    assert names(backbones=named, family="resnet") == ["resnet18"]


def test_a_file_of_weights_passes_the_filters_and_what_they_leave_out_is_told_of(alive):
    assert names(backbones=(alive,), source="local", available=True) == [alive]
    said = []
    wanted = Wanted(backbones=(alive, "vgg16"), source="local")
    assert [item.name for item in find_candidates(wanted, listen=said.append)] == [alive]
    assert said[0].text.startswith("vgg16: named, and left out by")
    assert said[0].level == "warning"


def test_where_the_weights_of_none_that_is_named_are_there_no_image_is_read(alive, tmp_path):
    missing = f"{alive.partition('@')[0]}@{tmp_path / 'none.pth'}"
    with pytest.raises(HeadstartError, match=r"none\.pth"):
        names(backbones=(missing,))
    assert names(backbones=(missing, alive)) == sorted([missing, alive])


def test_each_model_is_tried_at_each_size_its_own_by_its_plain_name():
    assert names(backbones=("resnet18",), sizes=(128, 224)) == ["resnet18 at 128 px", "resnet18"]


def test_a_licence_that_is_not_wanted_is_left_out():
    assert names(backbones=("resnet18",), licenses=("apache-2.0",)) == ["resnet18"]
    with pytest.raises(ConfigError, match="no pretrained model fits"):
        names(backbones=("resnet18",), licenses=("mit",))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="resnet18"):
        names(backbones=("resnet81",))


def test_the_job_s_preprocessing_reaches_the_candidate(alive):
    candidate = find_candidates(Wanted(backbones=(alive,), sizes=(48,)), channels=1, fit="pad")[0]
    settings = candidate.build()[0].spec.preprocessing
    assert (settings.size, settings.channels, settings.fit) == (48, 1, "pad")
