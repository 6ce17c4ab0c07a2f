import pytest
import torch

from headstart.events import Note, RatesTried, silent
from headstart.training import batch_finder
from headstart.training.lr_finder import Tried
from headstart.training.network import Network, rate_table
from headstart.training.train import train
from tests.training.small import Events, context, digest, model, plan, splits


def test_finder_takes_a_tenth_of_the_factor_with_the_lowest_loss():
    tried = Tried([0.01, 0.1, 1.0, 10.0, 100.0], [2.0, 1.5, 0.7, 0.4, 3.0])
    assert tried.chosen == pytest.approx(1.0)
    assert Tried([0.01, 0.1], [1.0, 2.0]).chosen == 0.01
    assert not tried.at_edge
    assert Tried([0.01, 0.1], [1.0, 2.0]).at_edge
    assert Tried([0.01, 10.0, 100.0], [1.0, 0.9, 0.8]).at_edge


def test_finder_leaves_no_trace_but_the_factor(tmp_path):
    """Trained at the factor that was found, by hand, the weights are the same bits."""
    parts, events = splits(tmp_path / "data"), Events()
    found = train(model(), parts, plan(find_lr=True), context(tmp_path / "a", events))
    factor = events.of(RatesTried)[0].chosen
    by_hand = plan(lr_head=1e-2 * factor, lr_backbone=1e-3 * factor)
    other = train(model(), parts, by_hand, context(tmp_path / "b", silent))
    for ours, theirs in zip(found.head.parameters(), other.head.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_micro_batches_give_the_gradient_of_the_whole_batch(tmp_path):
    parts = splits(tmp_path / "data")
    whole, pieces = (train(model(), parts, plan(epochs=1, micro_batch=size, batch_size=10),
                           context(tmp_path / str(size), silent)) for size in (None, 3))
    for ours, theirs in zip(whole.backbone.parameters(), pieces.backbone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_auto_takes_the_whole_batch_where_memory_allows(tmp_path):
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto"), context(tmp_path, events))
    assert "4 images go through the network at once, 4 make a step" in events.notes()


def test_auto_halves_until_it_fits(tmp_path, monkeypatch):
    from headstart.training.learner import Learner

    real, asked = Learner.gradient, []

    def gradient(self, batch):
        asked.append(self.state.micro_batch)
        if self.state.micro_batch > 5:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(self, batch)

    monkeypatch.setattr(Learner, "gradient", gradient)
    events = Events()
    trained = train(model(), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto", batch_size=20),
                    context(tmp_path, events))
    assert "5 images go through the network at once, 20 make a step" in events.notes()
    assert asked[:4] == [batch_finder.PROBED, 20, 10, 5]
    assert all(torch.isfinite(p).all() for p in trained.backbone.parameters())


def test_auto_takes_little_where_little_memory_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr(batch_finder, "free_memory", lambda: 1.0)
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=1, micro_batch="auto"), context(tmp_path, events))
    assert "1 images go through the network at once" in events.notes()


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_layer_rates_fall_by_the_same_share_from_stage_to_stage(decay):
    start, settings = model(), plan(layer_decay=decay, lr_backbone=1e-3, lr_head=1e-2)
    table = rate_table(Network(start.backbone, start.head, settings).groups(settings))
    count = len(start.backbone.stages())
    expected = [0.001 * decay ** (count - 1 - stage) for stage in range(count)] + [0.01]
    assert [row.rate for row in table] == pytest.approx(expected)
    assert sum(row.parameters for row in table) == sum(
        p.numel() for part in (start.backbone, start.head) for p in part.parameters())


def test_rates_are_printed_as_a_table_and_stay_in_proportion_while_training(tmp_path):
    events = Events()
    train(model(), splits(tmp_path / "data"), plan(epochs=1, layer_decay=0.5), context(tmp_path, events))
    table = next(e.text for e in events.of(Note) if "highest learning rates" in e.text)
    assert table.splitlines()[-1].split()[:2] == ["head", "0.01"]
    assert table.splitlines()[-2].split()[2] == "0.001"


def test_gradient_checkpointing_changes_no_bit(tmp_path):
    parts = splits(tmp_path / "data")
    plain, again = (digest(train(model(), parts, plan(epochs=1, gradient_checkpointing=on, batch_norm="train"),
                                 context(tmp_path / str(on), silent))) for on in (False, True))
    assert plain == again
