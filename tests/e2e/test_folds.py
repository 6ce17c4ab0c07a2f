"""A cross-validated run: out-of-fold answers that are honest, one ensemble, and everything that a run promises."""

import itertools
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, f1_score

import headstart as hs
from headstart.data.folds import folds
from headstart.data.splits import split
from headstart.receipts import changed_metrics
from tests.e2e.conftest import SMALL, write_digits
from tests.e2e.test_command_line import SMALL as OPTIONS
from tests.e2e.test_command_line import headstart, killed
from tests.e2e.test_run_directory import FILES

PROBE = {"method": "probe", "l2": 100}
FINETUNE = {"method": "finetune", "epochs": 2, "lr_backbone": 1e-5}
"""From a weak start, and gently: every fold ends with weights of its own."""


@pytest.fixture(scope="module")
def cross_probed(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(digits, method="probe", folds=3, out=tmp_path_factory.mktemp("folds") / "probe", **SMALL)


@pytest.fixture(scope="module")
def cross_finetuned(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> hs.Run:
    return hs.adapt(digits, method=[PROBE, FINETUNE], folds=3,
                    out=tmp_path_factory.mktemp("folds") / "finetune", **SMALL)


def test_the_run_directory_holds_the_folds_too(cross_finetuned: hs.Run) -> None:
    found = {path.name for path in cross_finetuned.directory.iterdir() if not path.name.startswith(".")}
    assert found == FILES | {"history.csv", "oof.parquet", "folds.json"}
    assert set(cross_finetuned.baselines) == {"majority", "probe"}
    assert set(cross_finetuned.history["method"]) == {"finetune fold 1", "finetune fold 2", "finetune fold 3"}
    assert cross_finetuned.model.backbone.spec.architecture == "3*efficientnet_lite0"
    network = sum(p.numel() for m in (cross_finetuned.model.backbone, cross_finetuned.model.head)
                  for p in m.parameters())
    heads = 3 * 3  # biases; the ensemble has one head's, its members three
    assert cross_finetuned.record["methods"][-1]["parameters_trained"] == network + heads - 3


def test_every_image_but_those_of_test_is_answered_out_of_its_fold(cross_probed: hs.Run, digits: Path) -> None:
    data = hs.load_data(str(digits))
    parts = folds(split(data, seed=0), 3, seed=0)
    oof = cross_probed.out_of_fold
    expected = {sample.id: number for number, part in enumerate(parts, start=1) for sample in part.val.samples}
    assert dict(zip(oof["id"], oof["fold"], strict=True)) == expected
    test = cross_probed.predictions.query("split == 'test'")
    assert set(oof["id"]) | set(test["id"]) == {sample.id for sample in data.samples}
    assert not set(oof["id"]) & set(test["id"])
    plain = cross_probed.samples.set_index("id")["split"]
    assert set(plain[list(oof["id"])]) == {"train"}
    assert cross_probed.data["splits"]["train"]["count"] == len(oof) == 48


def test_out_of_fold_answers_are_of_models_that_did_not_see_the_image(tmp_path: Path) -> None:
    """Labels by lot: whoever saw an image knows its label by heart, who did not can only guess."""
    data = write_digits(tmp_path / "digits")
    pictures = sorted(data.rglob("*.png"))
    order = np.random.default_rng(0).permutation(len(pictures))
    for number, place in enumerate(order):
        (tmp_path / "lots" / f"lot {number % 3}").mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures[place], tmp_path / "lots" / f"lot {number % 3}" / f"{number}.png")
    run = hs.adapt(tmp_path / "lots", method=[{"method": "probe", "l2": 1e-6}], folds=3, out=tmp_path / "run", **SMALL)
    oof = run.out_of_fold
    seen = {p.image: p.label for p in run.predict(list(oof["path"]))}
    known = np.mean([seen[path] == Path(path).parent.name for path in oof["path"]])
    assert known > 0.9
    assert run.splits["val"]["accuracy"].value < 0.6


def test_metrics_of_validation_are_those_of_the_out_of_fold_answers(cross_probed: hs.Run) -> None:
    oof = cross_probed.out_of_fold
    assert cross_probed.splits["val"]["accuracy"].value == pytest.approx(accuracy_score(oof["label"], oof["predicted"]))
    val = cross_probed.predictions.query("split == 'val'").set_index("id")
    assert list(val.loc[oof["id"], "predicted"]) == list(oof["predicted"])
    logits, probabilities = (np.stack(oof[name].to_list()) for name in ("logits", "probabilities"))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)


def test_folds_json_tells_each_fold_and_what_they_say_together(cross_finetuned: hs.Run) -> None:
    told = cross_finetuned.folds
    assert (told["folds"], told["images"], set(told["methods"])) == (3, 48, {"majority", "probe", "finetune"})
    found, oof = told["methods"]["finetune"], cross_finetuned.out_of_fold
    by_fold = [accuracy_score(rows["label"], rows["predicted"]) for _, rows in oof.groupby("fold")]
    assert [row["metrics"]["accuracy"]["value"] for row in found["folds"]] == pytest.approx(by_fold)
    assert [row["best_epoch"] for row in found["folds"]] == [2, 2, 2]
    assert [(row["train"], row["val"]) for row in found["folds"]] == [(32, 16)] * 3
    assert found["spread"]["accuracy"]["mean"] == pytest.approx(np.mean(by_fold))
    assert found["spread"]["accuracy"]["deviation"] == pytest.approx(np.std(by_fold, ddof=1))
    assert found["out_of_fold"] == json.loads((cross_finetuned.directory / "metrics.json").read_text())["val"]


def test_predict_evaluate_and_verify_take_the_ensemble_like_any_model(cross_finetuned: hs.Run, tmp_path: Path) -> None:
    test = cross_finetuned.predictions.query("split == 'test'")
    again = cross_finetuned.predict(list(test["path"]))
    stored = np.stack(test["probabilities"].to_list())
    np.testing.assert_allclose([list(p.probabilities.values()) for p in again], stored, atol=1e-4)
    assert all(receipt.intact for receipt in hs.verify(cross_finetuned))
    more = write_digits(tmp_path / "more", start=40, each=4)
    assert 0 <= hs.evaluate(cross_finetuned, more)["all"]["accuracy"].value <= 1


def test_a_new_run_starts_from_an_ensemble(cross_finetuned: hs.Run, digits: Path, tmp_path: Path) -> None:
    run = hs.adapt(digits, method="probe", init_from=str(cross_finetuned), out=tmp_path / "run", tracking="off")
    assert run.model.backbone.spec.architecture == "3*efficientnet_lite0"
    assert run.model.backbone.weights_hash() == cross_finetuned.model.backbone.weights_hash()
    assert run.metrics["accuracy"].value > 0.5


def test_killed_in_a_later_fold_it_resumes_to_identical_weights(cross_finetuned: hs.Run, digits: Path,
                                                                tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["adapt", digits, "--folds", 3, "--method", "probe,finetune", "--set", "method.probe.l2=100", "--set",
             "method.finetune.epochs=2", "--set", "method.finetune.lr_backbone=1e-5", "--out", run, *OPTIONS]
    assert killed(words, run, signal.SIGKILL, epochs=3) == -9
    assert (run / "work" / "fold-2").exists()
    headstart("resume", run)
    expected = load_file(cross_finetuned.directory / "model.safetensors")
    found = load_file(run / "model.safetensors")
    assert all(found[name].equal(tensor) for name, tensor in expected.items())
    again = hs.load_run(run)
    assert again.splits == cross_finetuned.splits
    assert again.job == cross_finetuned.job
    assert [method["parameters_trained"] for method in again.record["methods"]] == [
        method["parameters_trained"] for method in cross_finetuned.record["methods"]]
    assert not (run / "work").exists()
    assert [tuple(row) for row in again.history[["method", "epoch"]].to_numpy()] == list(
        itertools.product([f"finetune fold {number}" for number in (1, 2, 3)], (1, 2)))


def test_reproduce_gives_exactly_the_same_metrics(cross_probed: hs.Run, tmp_path: Path) -> None:
    again = hs.reproduce(cross_probed, out=tmp_path / "again")
    assert changed_metrics(cross_probed, again) == []
    assert again.out_of_fold["logits"].map(tuple).equals(cross_probed.out_of_fold["logits"].map(tuple))


def test_nothing_is_chosen_by_the_test_images(tmp_path: Path) -> None:
    """The same images to learn from, and a test split whose labels are wrong: the model is the same, bit by bit."""
    for name, shift in (("right", 0), ("wrong", 1)):
        write_digits(tmp_path / name / "train")
        kinds = sorted((write_digits(tmp_path / "spare" / name, start=30, each=4)).iterdir())
        for number, kind in enumerate(kinds):
            shutil.copytree(kind, tmp_path / name / "test" / kinds[(number + shift) % 3].name)
    right, wrong = (hs.adapt(tmp_path / name, method="probe", folds=3, out=tmp_path / "runs" / name, **SMALL)
                    for name in ("right", "wrong"))
    assert right.metrics["accuracy"].value > 0.5 > wrong.metrics["accuracy"].value
    assert right.splits["val"] == wrong.splits["val"]
    models = [load_file(run.directory / "model.safetensors") for run in (right, wrong)]
    assert all(models[1][name].equal(tensor) for name, tensor in models[0].items())


def test_thresholds_of_several_labels_are_chosen_on_the_out_of_fold_answers(digits: Path, tmp_path: Path) -> None:
    rows = [f"{path},{label}" for path in sorted(digits.rglob("*.png"))
            for label in {"0": ["round"], "1": ["straight"], "7": ["straight;angled"]}[path.parent.name[-1]]]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image,labels", *rows]))
    run = hs.adapt(table, task="multilabel", method="probe", thresholds="f1", folds=3, out=tmp_path / "run", **SMALL)
    oof = run.out_of_fold
    assert len(oof) == 48
    assert run.splits["val"]["average_precision"].value > 0.8
    truth = np.array([[label in labels for label in range(3)] for labels in oof["label"]])
    probabilities = np.stack(oof["probabilities"].to_list())
    for label, threshold in enumerate(run.model.task.threshold):
        best = max(f1_score(truth[:, label], probabilities[:, label] >= cut) for cut in probabilities[:, label])
        assert f1_score(truth[:, label], probabilities[:, label] >= threshold) == pytest.approx(best)


def test_the_page_and_the_terminal_tell_the_folds(digits: Path, tmp_path: Path) -> None:
    found = headstart("adapt", digits, "--folds", 3, "--set", "val=0.3", "--out", tmp_path / "run", "--json", *OPTIONS)
    told = " ".join(found.stderr.split())
    assert "val=0.3 has no effect on the folds: each validates on 1/3 of the images that are not held out" in told
    for number in (1, 2, 3):
        assert f"fold {number} of 3: probe accuracy" in told
    assert "3 folds: probe accuracy" in told
    assert json.loads(found.stdout)["folds"]["folds"] == 3
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<section id="folds"' in page
    assert "out of fold" in page
    assert "Before temperature scaling" not in page


def test_what_has_learned_from_the_images_before_is_refused(probed: hs.Run, digits: Path, tmp_path: Path) -> None:
    for words in (["--init-from", probed], ["--method", "distill", "--set", f"method.distill.teacher={probed}"]):
        found = headstart("adapt", digits, "--folds", 3, "--out", tmp_path / "run", *words, *OPTIONS, code=3)
        told = " ".join(found.stderr.split())
        assert "in val here, in train there" in told
        assert "with --folds, where every image outside the test split validates once: leave it out." in told
        assert not (tmp_path / "run").exists()


def test_impossible_folds_are_refused_before_anything_is_written(digits: Path, tmp_path: Path) -> None:
    for count, code, text in ((1, 2, "folds"), (51, 2, "folds"), (20, 3, "20 folds, but no class is in 20 images")):
        found = headstart("adapt", digits, "--folds", count, "--out", tmp_path / "run", *OPTIONS, code=code)
        assert text in " ".join(found.stderr.split())
        assert not (tmp_path / "run").exists()


def test_a_run_without_folds_says_how_to_get_some(own_probed: hs.Run) -> None:
    with pytest.raises(hs.HeadstartError, match=r"was not cross-validated, it has no oof\.parquet.*--folds 5"):
        _ = own_probed.out_of_fold
