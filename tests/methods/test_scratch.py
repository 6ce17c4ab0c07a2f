import torch

from headstart.methods.scratch import Scratch
from tests.training.small import Events, context, model, splits


def test_no_pretrained_tensor_survives(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    given, starts = model(), []
    with torch.no_grad():
        for value in given.backbone.state_dict().values():
            if value.is_floating_point():
                value.add_(0.125)  # nothing an initialisation would draw
    monkeypatch.setattr("headstart.methods.scratch.train", lambda start, *rest: starts.append(start) or start)
    for seed in (1, 1, 2):
        Scratch().fit(given, splits(tmp_path / "data"), context(tmp_path, Events(), seed=seed))
    old, new = given.backbone.state_dict(), starts[0].backbone.state_dict()
    assert old.keys() == new.keys()
    assert not [name for name in old if old[name].is_floating_point() and torch.equal(old[name], new[name])]
    assert starts[0].backbone.weights_hash() == starts[1].backbone.weights_hash()
    assert starts[0].backbone.weights_hash() != starts[2].backbone.weights_hash()


def test_scratch_trains(tmp_path):
    torch.set_num_threads(1)
    trained = Scratch(epochs=1, batch_size=4).fit(model(), splits(tmp_path / "data"), context(tmp_path, Events()))
    assert trained.head.linear.weight.abs().sum() > 0
