"""What a search may choose from: the default, what the user pins, and the user's own."""

from pathlib import Path

import pytest
import yaml
from pydantic import Field
from torch import nn

from headstart.backbones.timm import Timm
from headstart.errors import ConfigError
from headstart.job import METHODS
from headstart.methods.distill import Distill
from headstart.methods.finetune import Finetune
from headstart.methods.lora import Lora
from headstart.methods.probe import Probe
from headstart.methods.scratch import Scratch
from headstart.training.idle import IDLE
from headstart.training.network import Network
from headstart.tuning.candidates import build_search, default_methods, job_with, longest, metric_of
from headstart.tuning.space import FIRST as FIRST_DRAWN
from headstart.tuning.space import SEARCHED, TASKS, Choice, Range, default_space, own_space

FIRST = {"scope": "all", "unfreeze": "none", "lr_head": 3e-4, "lr_backbone": 1e-4, "layer_decay": 1.0,
         "weight_decay": 0.01, "augment": "light", "label_smoothing": 0.0}


class Narrow(Finetune):
    dropout: float = Field(0.0, ge=0, le=0.2)


class High(Finetune):
    dropout: float = Field(0.9, ge=0.5, lt=1)


Narrow.part_name, High.part_name = "narrow", "high"


def own(settings, methods=None):
    return own_space(list(methods or [Finetune()]), settings, where="space.yaml")


def written(folder: Path, text: str) -> Path:
    (folder / "space.yaml").write_text(text)
    return folder / "space.yaml"


def test_every_setting_that_is_searched_is_one_of_some_method():
    assert set(SEARCHED) <= {name for part in METHODS.all().values() for name in part.model_fields}


def test_the_first_trial_of_a_method_is_the_method_as_it_is():
    space = default_space([Probe(), Finetune()])
    assert space.start("probe") == {"method": "probe"}
    assert space.start("finetune") == {"method": "finetune", **FIRST}
    assert job_with(build_search({"data": "x"})[0], space.start("finetune")).method == (Probe(), Finetune())


def test_a_method_with_nothing_to_search_is_settled():
    space = default_space([Probe(), Finetune()])
    assert (space.settled, space.open) == (["probe"], ["finetune"])


def test_a_setting_for_detectors_alone_is_no_setting_of_a_search():
    with pytest.raises(ConfigError, match=r'unknown setting "probe\.epochs" for probe'):
        own({"probe.epochs": [3, 5]}, methods=[Probe()])


def test_what_the_user_sets_is_kept_and_not_searched():
    space = default_space([Finetune(lr_head=0.02, augment="strong")])
    assert "lr_head" not in space.searched["finetune"]
    assert "augment" not in space.searched["finetune"]
    assert "lr_backbone" in space.searched["finetune"]


def test_rates_are_searched_around_the_default_of_each_method():
    space = default_space([Finetune(), Scratch()])
    assert space.searched["finetune"]["lr_backbone"] == Range(low=1e-5, high=1e-3, log=True)
    assert space.searched["scratch"]["lr_backbone"] == Range(low=2e-4, high=2e-2, log=True)
    assert space.searched["finetune"]["lr_head"] == Range(low=3e-5, high=3e-3, log=True)


def test_methods_share_in_the_study_what_means_the_same():
    space = default_space([Finetune(), Scratch()])
    assert space.label("scratch", "augment") == "augment"
    assert space.label("scratch", "lr_backbone") == "scratch.lr_backbone"


@pytest.mark.parametrize("name", [
    name for name, part in METHODS.all().items() if "lr_head" in part.settings_for(TASKS)])
def test_the_defaults_of_every_method_lie_in_its_space(name):
    method = METHODS.get(name)()
    plain = method.model_dump(mode="json")
    drawn = default_space([method]).start(name)
    assert len(drawn) > 4
    assert drawn == {"method": name, **{key: plain[key] for key in drawn if key != "method"}}


def test_a_method_whose_default_is_no_choice_keeps_it():
    class Adapter(Finetune):
        scope: str = "adapter"

    searched = default_space([Adapter()]).searched[Adapter.part_name]
    assert "scope" not in searched
    assert "lr_head" in searched


def test_a_setting_without_effect_beside_the_others_is_not_drawn():
    def head_only(name, dimension):
        return "head" if name == "scope" else dimension.nearest(None)

    assert list(default_space([Finetune()]).draw(head_only)) == ["method", "scope", "lr_head", "weight_decay",
                                                                 "augment", "label_smoothing"]
    assert "lr_backbone" not in default_space([Finetune(scope="head")]).start("finetune")


@pytest.mark.parametrize(("name", "beside"), [
    ("layer_decay", {"scope": "last-1"}),
    ("layer_decay", {"scope": "head"}),
    ("gradient_checkpointing", {"scope": "head"}),
    ("unfreeze_every", {"unfreeze": "none"}),
    ("unfreeze_every", {"unfreeze": "fixed", "scope": "head"}),
    ("min_delta", {"patience": None, "unfreeze": "fixed"}),
    ("min_delta", {"patience": None, "unfreeze": "plateau", "scope": "head"}),
])
def test_a_setting_is_not_searched_where_it_has_no_effect(name, beside):
    searched = own({name: [Finetune().model_dump()[name]]}, [Finetune(**beside)])
    assert list(searched.start("finetune")) == ["method"]


@pytest.mark.parametrize(("name", "beside"), [
    ("layer_decay", {"scope": "last-2"}),
    ("unfreeze_every", {"unfreeze": "plateau"}),
    ("min_delta", {"patience": 2}),
    ("min_delta", {"patience": None, "unfreeze": "plateau"}),
])
def test_a_setting_is_searched_where_it_has_an_effect(name, beside):
    searched = own({name: [Finetune().model_dump()[name]]}, [Finetune(**beside)])
    assert list(searched.start("finetune")) == ["method", name]


@pytest.mark.parametrize(("name", "weight"), [("teacher_temperature", 0.0), ("label_smoothing", 1.0), ("loss", 1.0)])
def test_what_a_teacher_makes_idle_is_not_searched(name, weight):
    value = Distill().model_dump(mode="json")[name]
    for share, drawn in ((weight, ["method"]), (0.5, ["method", name])):
        searched = own({name: [value]}, [Distill(teacher_weight=share)])
        assert list(searched.start("distill")) == drawn


def test_the_layer_decay_changes_no_rate_of_the_last_stage():
    backbone, head = Timm().build("timm/test_resnet", pretrained=False), nn.Linear(1, 2)
    for scope, alike in (("last-1", True), ("last-2", False)):
        plans = [Finetune(scope=scope, layer_decay=decay) for decay in (0.5, 1.0)]
        rates = [[group["base"] for group in Network(backbone, head, plan).groups(plan)] for plan in plans]
        assert (rates[0] == rates[1]) is alike


def test_what_others_depend_on_is_drawn_first():
    decisive = {other for cases in IDLE.values() for case in cases for other in case}
    assert decisive == set(FIRST_DRAWN)
    space = own({"min_delta": [0.0], "patience": [3], "unfreeze": ["none"], "scope": ["all"]})
    assert list(space.draw(lambda name, dimension: dimension.values[0])) == ["method", "scope", "unfreeze", "patience",
                                                                             "min_delta"]


def test_every_setting_that_may_be_idle_is_one_of_some_method():
    known = {name for part in METHODS.all().values() for name in part.model_fields}
    assert set(IDLE) | set(FIRST_DRAWN) <= known


def test_an_own_space_replaces_the_default_and_starts_inside():
    space = own({"lr_backbone": {"low": 2e-4, "high": 1e-3, "log": True}, "scope": ["last-1", "last-2"],
                 "epochs": {"low": 2, "high": 6}, "weight_decay": {"low": 0, "high": 1}})
    assert space.start("finetune") == {"method": "finetune", "scope": "last-1", "lr_backbone": 2e-4, "epochs": 6,
                                       "weight_decay": 0.01}
    assert space.searched["finetune"]["epochs"].whole
    assert not space.searched["finetune"]["weight_decay"].whole
    assert longest(space) == 6


def test_choices_may_be_parts_with_settings():
    space = own({"loss": ["cross_entropy", {"loss": "cross_entropy"}]})
    assert space.start("finetune")["loss"] == {"loss": "cross_entropy"}
    assert space.searched["finetune"]["loss"] == Choice(values=({"loss": "cross_entropy"}, {"loss": "cross_entropy"}))


def test_a_setting_may_be_searched_for_one_method_alone():
    space = own({"scratch.lr_backbone": [0.01], "lr_backbone": [1e-4, 1e-3]}, [Finetune(), Scratch()])
    assert space.searched == {"finetune": {"lr_backbone": Choice(values=(1e-4, 1e-3))},
                              "scratch": {"lr_backbone": Choice(values=(0.01,))}}


def test_a_value_is_for_the_methods_that_take_it():
    space = own({"scope": ["all", "last-2"], "batch_norm": ["frozen", "train"]}, [Finetune(), Lora()])
    assert space.searched == {
        "finetune": {"scope": Choice(values=("all", "last-2")), "batch_norm": Choice(values=("frozen", "train"))},
        "lora": {"batch_norm": Choice(values=("frozen",))}}


def test_a_range_is_for_the_methods_that_take_both_ends():
    # The dropout of Narrow ends at 0.2; each method has the bounds as it would write them itself.
    space = own({"dropout": {"low": 0, "high": 0.5}, "epochs": {"low": 1, "high": 3}}, [Finetune(), Narrow()])
    assert space.searched == {"finetune": {"dropout": Range(low=0.0, high=0.5), "epochs": Range(low=1, high=3)},
                              "narrow": {"epochs": Range(low=1, high=3)}}
    assert not space.searched["finetune"]["dropout"].whole
    assert space.searched["narrow"]["epochs"].whole


def test_a_value_that_no_method_takes_is_refused_with_what_each_says():
    with pytest.raises(ConfigError, match=r"""space.yaml: scope: no method takes 'lst-2':
  finetune: "lst-2" is no scope. .*
  lora: Input should be 'adapter' \(got 'lst-2'\)
Mend the value, or leave it out."""):
        own({"scope": ["all", "lst-2"]}, [Finetune(), Lora()])


def test_a_range_of_which_no_method_takes_both_ends_is_refused():
    with pytest.raises(ConfigError, match=r"dropout: no method takes the whole range: 0.1 is taken by narrow, 0.95 by "
                                          r"high. Write one for each, as narrow.dropout"):
        own({"dropout": {"low": 0.1, "high": 0.95}}, [Narrow(), High()])


@pytest.mark.parametrize(("settings", "message"), [
    ({"finetune.lr_hed": [1e-3]}, r'unknown setting "finetune.lr_hed" for finetune. Did you mean "finetune.lr_head"'),
    ({"lr_heads": [1e-3]}, r'space.yaml: unknown setting "lr_heads" for finetune. Did you mean "lr_head"'),
    ({"lr_head": 1e-3}, r"space.yaml: lr_head: write a list of values, or {low: ..., high: ..., log: true}; got 0.001"),
    ({"lr_head": {"low": 1e-3, "hgh": 1e-2}}, r'unknown setting "hgh". Did you mean "high"'),
    ({"lr_head": {"low": 1e-2, "high": 1e-3}}, r"low \(0.01\) must be less than high \(0.001\)"),
    ({"dropout": {"low": 0.0, "high": 0.5, "log": True}}, r"on a log scale low must be above 0, not 0.0"),
    ({"lr_head": {"low": 1e-3, "high": 1e3}},
     r"space.yaml: lr_head: no method takes 1000.0:\n  finetune: Input should be less than or equal to 10 "),
    ({"scope": ["last-1", "lst-2"]}, r"""scope: no method takes 'lst-2':\n  finetune: "lst-2" is no scope"""),
    ({"scope": []}, r"space.yaml: scope: values: .*at least 1 item"),
])
def test_mistakes_in_an_own_space_are_named(settings, message):
    with pytest.raises(ConfigError, match=message):
        own(settings)


def test_a_method_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r'space.yaml: unknown method "finetun". Did you mean "finetune"'):
        build_search({"data": "x"}, space=written(tmp_path, "method: [probe, finetun]"))


def test_candidates_are_the_default_ones_unless_named_in_any_place(tmp_path):
    config = tmp_path / "job.yaml"
    config.write_text(yaml.safe_dump({"data": "x", "method": "scratch"}))
    own_file = written(tmp_path, "method: [scratch]\nlr_head: [0.001, 0.01]")
    assert list(build_search({"data": "x"})[1].searched) == default_methods()
    assert list(build_search({"data": "x", "method": "finetune"})[1].searched) == ["probe", "finetune"]
    assert list(build_search({}, config=config)[1].searched) == ["scratch"]
    assert list(build_search({"data": "x"}, assignments=["method=scratch"])[1].searched) == ["scratch"]
    assert list(build_search({"data": "x"}, space=own_file)[1].searched) == ["scratch"]
    base, space = build_search({"data": "x"}, assignments=["method.finetune.epochs=3"])
    assert space.base["finetune"]["epochs"] == 3
    assert base.method[1].epochs == 3


def test_default_methods_exist():
    assert set(default_methods()) <= set(METHODS.names())


@pytest.mark.parametrize("names", ["finetune,probe", "probe,finetune", "lora,finetune,probe", "lora,probe"])
def test_methods_may_be_named_in_any_order(names):
    _, space = build_search({"data": "x", "method": names})
    assert set(space.searched) == {*names.split(","), "probe"}


def test_the_users_own_settings_of_a_method_that_another_needs_are_kept():
    _, space = build_search({"data": "x", "method": "finetune,probe"}, assignments=["method.probe.l2=0.5"])
    assert space.base["probe"]["l2"] == 0.5
    base, _ = build_search({"data": "x", "method": "finetune,probe"}, assignments=["method.probe.l2=0.5"])
    assert job_with(base, {"method": "probe"}).method == (Probe(l2=0.5),)
    assert job_with(base, {"method": "finetune"}).method[0] == Probe(l2=0.5)


def test_a_method_is_tried_once_with_one_set_of_settings():
    assert list(build_search({"data": "x", "method": "finetune,finetune"})[1].searched) == ["probe", "finetune"]
    with pytest.raises(ConfigError, match="finetune stands here with two sets of settings"):
        build_search({"data": "x", "method": [{"method": "finetune", "epochs": epochs} for epochs in (2, 3)]})


def test_the_job_of_a_trial_has_the_users_settings_of_what_its_method_needs():
    chain = [{"method": "probe", "l2": 0.5}, {"method": "finetune", "epochs": 2}]
    base, _ = build_search({"data": "x", "method": chain})
    job = job_with(base, {"method": "finetune", "lr_head": 0.01})
    assert job.method == (Probe(l2=0.5), Finetune(epochs=2, lr_head=0.01))
    assert job_with(base, {"method": "probe"}).method == (Probe(l2=0.5),)
    with_start = base.model_copy(update={"init_from": "runs/before"})
    assert job_with(with_start, {"method": "finetune"}).method == (Finetune(epochs=2),)


def test_trials_are_judged_by_the_metric_that_the_methods_watch():
    from headstart.tasks.classification import Classification

    def metric(*methods):
        base, space = build_search({"data": "x", "method": list(methods)})
        return metric_of(base, space, Classification())

    assert metric("probe") == "accuracy"
    assert metric({"method": "finetune", "monitor": "f1_macro"}) == "f1_macro"
    assert metric({"method": "finetune", "monitor": "loss"}) == "log_loss"
    with pytest.raises(ConfigError, match=r"different metrics \(finetune by f1_macro, scratch by accuracy\)"):
        metric({"method": "finetune", "monitor": "f1_macro"}, "scratch")
