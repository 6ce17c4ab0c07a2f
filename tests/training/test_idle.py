"""Settings without effect are told, those with one are not."""

import pytest

from headstart.methods.finetune import Finetune
from headstart.methods.lora import Lora
from headstart.training.idle import IDLE, idle


@pytest.mark.parametrize(("settings", "expected"), [
    ({}, {}),
    ({"scope": "head", "unfreeze": "fixed"}, {"unfreeze": "unfreeze has no effect beside scope=head"}),
    ({"scope": "head", "layer_decay": 0.5, "lr_backbone": 1.0},
     {"layer_decay": "layer_decay has no effect beside scope=head",
      "lr_backbone": "lr_backbone has no effect beside scope=head"}),
    ({"scope": "last-1", "layer_decay": 0.5}, {"layer_decay": "layer_decay has no effect beside scope=last-1"}),
    ({"unfreeze": "fixed", "unfreeze_every": 5, "epochs": 2},
     {"unfreeze": "unfreeze=fixed with unfreeze_every=5 frees no stage in 2 epochs: the head alone trains"}),
    ({"unfreeze": "fixed", "unfreeze_every": 1, "epochs": 2}, {}),
    ({"average": "swa", "epochs": 1},
     {"average": "average has no effect in 1 epoch: it takes in the end of 1 of them"}),
    ({"average": "swa", "epochs": 8}, {}),
    ({"average": "ema", "epochs": 1}, {}),
    ({"on_overfit": "stop", "epochs": 4},
     {"on_overfit": "on_overfit has no effect in 4 epochs: the watch needs 4 to judge, and more to act in"}),
    ({"on_overfit": "stop", "epochs": 5}, {}),
    ({"micro_batch": 64, "batch_size": 32},
     {"micro_batch": "micro_batch has no effect above batch_size=32, the images of a step"}),
    ({"micro_batch": "auto"}, {}),
    ({"min_delta": 0.1}, {"min_delta": "min_delta has no effect beside patience=None and unfreeze=none"}),
    ({"min_delta": 0.1, "patience": 2}, {}),
    ({"patience": 8}, {"patience": "patience=8 has no effect in 8 epochs"}),
    ({"scope": "head", "batch_norm": "train"},
     {"batch_norm": "batch_norm has no effect beside scope=head: no BatchNorm trains"}),
])
def test_what_has_no_effect_is_named_with_the_reason(settings, expected):
    assert idle(Finetune.parse(settings)) == expected


def test_defaults_of_another_method_are_no_settings_of_the_user():
    assert idle(Lora()) == {}


def test_the_table_names_settings():
    fields = set(Finetune.model_fields) | {"teacher_temperature", "teacher_weight"}
    assert set(IDLE) | {other for cases in IDLE.values() for case in cases for other in case} <= fields
