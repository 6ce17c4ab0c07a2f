"""What can't be carried out is refused before anything runs; what runs out of memory early goes on smaller."""

import dataclasses

import pytest
import torch

from headstart.backbones.timm import Timm
from headstart.backbones.torchvision import Torchvision
from headstart.errors import ConfigError
from headstart.events import silent
from headstart.heads import LinearHead
from headstart.methods.finetune import Finetune
from headstart.methods.scratch import Scratch
from headstart.training.averaging import Averaging
from headstart.training.batch_norm import adapt_statistics
from headstart.training.learner import Learner
from headstart.training.loading import train_loader
from headstart.training.train import refuse_impossible, train
from headstart.training.watch import CALM_DOWN, LEARN_MORE, REGULARISE
from tests.detectors import ON_ANY_BACKBONE
from tests.training import test_box_lesson as boxes
from tests.training.small import SETTINGS, Events, context, model, plan, splits


@pytest.mark.parametrize(("settings", "message"), [
    ({"monitor": "foo"}, 'monitor "foo" is not a metric'),
    ({"regularisers": ["self_distillation"]}, "set average=ema"),
    ({"regularisers": ["self_distillation"], "average": "swa"}, "set average=ema"),
    ({"scope": "last-99"}, "has 5 stages"),
    ({"batch_size": 1, "batch_norm": "train"}, "batches of one image"),
    ({"sampling": "balanced", "class_weights": "balanced"}, "both correct the same imbalance"),
])
def test_an_impossible_plan_is_refused_without_an_image(settings, message):
    with pytest.raises(ConfigError, match=message):
        refuse_impossible(plan(**settings), model())


def test_drop_path_is_refused_where_there_is_no_residual_branch():
    backbone = Torchvision().build("torchvision/vgg11", pretrained=False)
    start = dataclasses.replace(model(), backbone=backbone, head=LinearHead(backbone.width, 2))
    with pytest.raises(ConfigError, match="no residual branch"):
        refuse_impossible(plan(drop_path=0.2), start)


def test_the_check_changes_nothing():
    start = model()
    before = start.backbone.weights_hash(), [m.training for m in start.backbone.modules()]
    refuse_impossible(plan(scope="last-1", drop_path=0.1, batch_norm="train"), start)
    assert (start.backbone.weights_hash(), [m.training for m in start.backbone.modules()]) == before
    assert all(p.requires_grad for p in start.backbone.parameters())


def test_interpolation_needs_equal_statistics_at_both_ends(tmp_path):
    method = Finetune(interpolate="validation", batch_norm="adapt")  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="needs batch_norm=frozen"):
        method.refuse_unfit(model(), splits(tmp_path))


def test_what_the_watch_advises_are_settings():
    words = " ".join((*REGULARISE, *LEARN_MORE, *CALM_DOWN))
    named = {name for name in Finetune.model_fields if name in words}
    assert {"augment", "scope", "weight_decay", "label_smoothing", "lr_head", "lr_backbone", "clip_norm"} <= named
    assert "(stages)" not in words


def test_memory_that_runs_out_before_the_first_checkpoint_halves_the_micro_batch(monkeypatch, tmp_path):
    real = Learner.gradient

    def gradient(self, batch):
        if self.state.micro_batch > 2:
            raise torch.OutOfMemoryError("fake: out of memory")
        return real(self, batch)

    monkeypatch.setattr(Learner, "gradient", gradient)
    events = Events()
    trained = train(model(), splits(tmp_path / "data"), plan(find_lr=True, epochs=1), context(tmp_path, events))
    assert "memory ran out with 4 images at a time; going on with 2" in events.notes()
    assert all(torch.isfinite(p).all() for p in trained.backbone.parameters())


@pytest.mark.parametrize("micro", [1, 2, 3])
def test_batch_norm_that_trains_never_sees_a_single_image(micro, tmp_path):
    trained = train(model(), splits(tmp_path / "data", train=21),
                    plan(epochs=1, batch_norm="train", batch_size=5, micro_batch=micro), context(tmp_path, silent))
    assert all(torch.isfinite(p).all() for p in trained.backbone.parameters())


def test_the_learning_rate_finder_draws_as_training_does(monkeypatch, tmp_path):
    from headstart.training import lr_finder

    orders = []

    def loader(images, order, **more):
        orders.append(order)
        return train_loader(images, order, **more)

    monkeypatch.setattr(lr_finder, "train_loader", loader)
    parts = splits(tmp_path / "data")
    train(model(), parts, plan(find_lr=True, sampling="balanced", epochs=1), context(tmp_path, silent))
    assert orders[0].probabilities == pytest.approx([1 / len(parts.train)] * len(parts.train))


def test_batch_norms_that_moved_are_settled_for_the_mean_of_distant_weights(monkeypatch, tmp_path):
    """The variance of the mean's features is not the mean of the variances; stages that rest keep theirs."""
    kept = []
    real = Averaging.settle

    def settle(self, pictures, context):
        real(self, pictures, context)
        kept.append((self.averaged.backbone, pictures))

    monkeypatch.setattr(Averaging, "settle", settle)
    start = model()
    parts = splits(tmp_path / "data")
    train(start, parts, plan(average="swa", batch_norm="train", scope="last-1", lr_backbone=0.1),
          context(tmp_path, silent))
    mean, _ = kept[-1]
    expected = Timm().build("timm/test_resnet", pretrained=False)
    expected.load_state_dict(mean.state_dict())
    last = {id(module) for module in mean.stages()[-1].modules()}
    adapt_statistics(expected, [torch.stack([SETTINGS(s.source) for s in parts.train.samples])],
                     names={name for name, module in mean.named_modules() if id(module) in last})
    for (name, found), wanted in zip(mean.state_dict().items(), expected.state_dict().values(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5, msg=name)
    assert any(not torch.equal(a, b) for (k, a), b in zip(mean.state_dict().items(),
                                                          start.backbone.state_dict().values(), strict=True)
               if "running_var" in k)


def test_what_is_advised_for_batches_of_one_image_helps():
    """The BatchNorm of a head always trains; scratch has no batch_norm to freeze; what the message names has none."""
    for name in ("rt_detr", "ssdlite", "yolox"):
        with pytest.raises(ConfigError, match=r"head has BatchNorm of its own.*batch_norm=frozen does not reach") as e:
            refuse_impossible(boxes.plan(batch_size=1), boxes.model(name))
        assert "Raise batch_size to 2" in str(e.value)
        assert "fcos, retinanet and faster_rcnn have no BatchNorm" in str(e.value)
        refuse_impossible(boxes.plan(batch_size=2), boxes.model(name))
    for name in set(ON_ANY_BACKBONE) - {"rt_detr", "ssdlite", "yolox"}:
        refuse_impossible(boxes.plan(batch_size=1), boxes.model(name))
    with pytest.raises(ConfigError, match=r"Raise batch_size to 2 or more\.$"):
        refuse_impossible(Scratch(batch_size=1), boxes.model("fcos"))  # type: ignore[call-arg]


def test_ssdlite_learns_on_two_images_where_its_coarsest_map_has_one_cell(tmp_path):
    settings = boxes.plan(batch_size=2, micro_batch=1, epochs=1)
    trained = train(boxes.model("ssdlite"), boxes.splits(tmp_path / "data"), settings, context(tmp_path, silent))
    assert all(torch.isfinite(p).all() for p in trained.head.parameters())
