"""WiSE-FT: the line between two models, and the choice on it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from headstart.errors import ConfigError, DataError, Interrupted
from headstart.training import interpolation
from headstart.training.interpolation import choose_alpha, interpolate
from headstart.training.signals import StopSignals
from headstart.training.weights import ordered, weights_of
from tests.training.small import Events, context, digest, model, plan, splits


def moved(start, *, seed=1, scale=0.01):
    """The model a little way off, as training leaves it: other weights, BatchNorm statistics and counters."""
    made = interpolate(start, start, 1.0)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in weights_of(made).items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator) * scale
            tensor.add_(noise.abs() if name.endswith("running_var") else noise)
        else:
            tensor.add_(7)
    return made


def bits(of):
    return {name: tensor.numpy().tobytes() for name, tensor in weights_of(of).items()}


def test_the_ends_are_the_two_models_bit_for_bit():
    start = model()
    tuned = moved(start)
    with torch.no_grad():
        start.head.linear.bias[0] = -0.0
    integers = {n for n, t in weights_of(start).items() if not t.is_floating_point()}
    assert integers
    at_0, at_1 = bits(interpolate(start, tuned, 0)), bits(interpolate(start, tuned, 1))
    assert {n: b for n, b in at_0.items() if n not in integers} == \
        {n: b for n, b in bits(start).items() if n not in integers}
    assert {n: at_0[n] for n in integers} == {n: bits(tuned)[n] for n in integers}
    assert at_1 == bits(tuned)


def test_in_between_every_floating_tensor_is_the_weighted_mean_in_float64():
    start = model()
    tuned = moved(start)
    found = weights_of(interpolate(start, tuned, 0.25))
    first, second = weights_of(start), weights_of(tuned)
    assert any(name.endswith("running_var") for name in found)
    for name, tensor in found.items():
        if tensor.is_floating_point():
            expected = 0.75 * first[name].numpy().astype(float) + 0.25 * second[name].numpy().astype(float)
            np.testing.assert_array_equal(tensor.numpy(), expected.astype(np.float32), name)


def test_the_models_are_left_as_they_were_and_share_no_memory_with_the_result():
    start = model()
    tuned = moved(start)
    before = digest(start), digest(tuned)
    for alpha in (0.0, 0.5, 1.0):
        for tensor in weights_of(interpolate(start, tuned, alpha)).values():
            tensor.zero_()
    assert (digest(start), digest(tuned)) == before


def test_models_without_anything_in_between_are_refused():
    start = model()
    with pytest.raises(ConfigError, match=r"head\.linear\.weight: \(2, \d+\) and \(3, \d+\)"):
        interpolate(start, replace(start, head=start.task.head(start.backbone, 3)), 0.5)
    with pytest.raises(ConfigError, match="models of other classes have no model in between"):
        interpolate(start, replace(start, classes=("left", "right")), 0.5)
    with pytest.raises(ConfigError, match=r"alpha 1\.5 must lie in 0\.\.1"):
        interpolate(start, start, 1.5)


def test_ordered_gives_the_same_logits_under_the_new_order():
    start = moved(model(), scale=0.1)
    turned = ordered(start, ("left", "right"))
    vectors = np.random.default_rng(0).standard_normal((5, start.backbone.width)).astype(np.float32)
    assert turned.classes == ("left", "right")
    np.testing.assert_array_equal(turned.logits_of(vectors), start.logits_of(vectors)[:, ::-1])


def test_each_alpha_is_judged_by_its_own_accuracy_and_log_loss(tmp_path):
    parts, start = splits(tmp_path / "data"), model()
    tuned = moved(start, scale=0.05)
    chosen, alpha, table = choose_alpha(start, tuned, parts.val, context(tmp_path, Events()))
    assert list(table) == pytest.approx([step / 10 for step in range(11)])
    labels = parts.val.labels()
    for each, judged in table.items():
        logits = interpolate(start, tuned, each).logits([s.source for s in parts.val.samples]).astype(float)
        assert judged.metric == pytest.approx((logits.argmax(1) == labels).mean())
        assert judged.loss == pytest.approx(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean(),
                                            abs=1e-5)
    best = min(table, key=lambda a: (-table[a].metric, table[a].loss, a))
    assert alpha == best
    assert digest(chosen) == digest(interpolate(start, tuned, best))
    assert chosen.temperature == 1.0


@pytest.mark.parametrize(("worth", "expected"), [
    ({0.0: (0.5, 0.1), 0.5: (0.9, 0.5), 1.0: (0.8, 0.1)}, 0.5),
    ({0.0: (0.9, 0.6), 0.5: (0.9, 0.5), 1.0: (0.9, 0.7)}, 0.5),
    ({0.0: (0.8, 0.1), 0.5: (0.9, 0.5), 1.0: (0.9, 0.5)}, 0.5),
    ({0.0: (0.9, 0.5), 0.5: (0.9, 0.5), 1.0: (0.9, 0.5)}, 0.0),
    ({0.0: (0.9, 0.5), 0.5: (float("nan"), float("inf")), 1.0: (0.8, 0.5)}, 0.0),
], ids=["metric", "then loss", "then the smaller alpha", "all equal", "undefined is worst"])
def test_the_choice_is_by_metric_then_loss_then_nearness_to_the_start(worth, expected, tmp_path, monkeypatch):
    parts, start = splits(tmp_path / "data"), model()
    answers = iter([worth[alpha] for alpha in sorted(worth, reverse=True)])
    monkeypatch.setattr(interpolation.Validation, "judge",
                        lambda self, judged: interpolation.Judged(*next(answers)))
    _, alpha, _ = choose_alpha(start, moved(start), parts.val, context(tmp_path, Events()), alphas=sorted(worth))
    assert alpha == expected


def test_the_search_ends_with_the_time_limit_but_judges_the_tuned_model(tmp_path):
    parts, start = splits(tmp_path / "data"), model()
    tuned = moved(start)
    chosen, alpha, table = choose_alpha(start, tuned, parts.val, context(tmp_path, Events(), remaining=lambda: 0.0))
    assert list(table) == [1.0]
    assert alpha == 1.0
    assert digest(chosen) == digest(tuned)


def test_a_training_that_kept_its_start_is_not_searched(tmp_path):
    parts, start = splits(tmp_path / "data"), model()
    _, alpha, table = choose_alpha(start, interpolate(start, start, 1), parts.val, context(tmp_path, Events()))
    assert (alpha, list(table)) == (0.0, [0.0])


def test_no_validation_image_and_a_signal_end_the_search(tmp_path, monkeypatch):
    parts, start = splits(tmp_path / "data"), model()
    with pytest.raises(DataError, match="the val split is empty; there is nothing to choose by"):
        choose_alpha(start, moved(start), parts.val.subset([]), context(tmp_path, Events()))
    monkeypatch.setattr(StopSignals, "raise_if_requested", lambda self, where: (_ for _ in ()).throw(
        Interrupted(f"{where}: stopped", signal_number=15)))
    with pytest.raises(Interrupted):
        choose_alpha(start, moved(start), parts.val, context(tmp_path, Events()))


def test_finetune_interpolates_after_training_and_tells_the_table(tmp_path):
    events, start = Events(), model()
    parts = splits(tmp_path / "data")
    tuned = plan().fit(start, parts, context(tmp_path / "plain", Events()))
    chosen = plan(interpolate="validation").fit(start, parts, context(tmp_path / "wise", events))
    expected, alpha, table = choose_alpha(start, tuned, parts.val, context(tmp_path, Events()))
    assert digest(chosen) == digest(expected)
    assert f"{alpha:g} is best on validation. accuracy (loss): 0: {table[0.0].metric:.3f}" in events.notes()


def test_a_run_killed_in_the_search_takes_its_training_from_the_checkpoints(tmp_path, monkeypatch):
    start, parts, where = model(), splits(tmp_path / "data"), tmp_path / "wise"
    whole = plan(interpolate="validation").fit(start, parts, context(tmp_path / "whole", Events()))
    monkeypatch.setattr(interpolation.Validation, "judge", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        plan(interpolate="validation").fit(start, parts, context(where, Events()))
    monkeypatch.undo()
    monkeypatch.setattr("headstart.training.train._run", lambda *_: pytest.fail("trained again"))
    assert digest(plan(interpolate="validation").fit(start, parts, context(where, Events()))) == digest(whole)
