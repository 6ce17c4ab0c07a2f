"""What the judgements tell to type next goes on with what decided them."""

import shlex
from pathlib import Path

from typer.testing import CliRunner

from headstart.cli import application
from headstart.cli.advise import settled
from headstart.cli.output import assigned, flags
from headstart.selection.advice import Advice, Option
from tests.selection.small import write_data, write_weights


def test_flags_can_be_typed_in_a_shell():
    given = flags([("--seed", 0), ("--config", None), *assigned(["reader.separator=|", "image_size=8"],
                                                                but=("image_size",))])
    assert given == " --seed 0 --set 'reader.separator=|'"


def test_advice_that_lies_elsewhere_is_typed_out():
    option = Option("gradual", "fine-tuning", "", [{"method": "probe"}, {"method": "finetune", "epochs": 8}], 0.9, 0.8,
                    0.95, 1.0)
    advice = Advice("d", {}, "resnet18", 64, "", (), (option,), 1.0)
    assert flags(settled(advice)) == (" --backbone resnet18 --set image_size=64 --method probe,finetune "
                                      "--set method.finetune.epochs=8")


def test_rank_goes_on_with_the_settings_the_seed_and_the_configuration(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    data, weights = write_data(tmp_path / "strips"), write_weights(tmp_path / "w.safetensors")
    config = tmp_path / "job.yaml"
    config.write_text("device: cpu\n")
    ranked = CliRunner().invoke(application(), [
        "rank", str(data), "--backbones", weights, "--image-size", "32", "--set", "fit=squash", "--set", "val=0.2",
        "--seed", "3", "--config", str(config), "--group-by", "duplicates"])
    assert ranked.exit_code == 0, ranked.stderr
    told = shlex.split(ranked.stdout.splitlines()[-1])
    assert told == ["headstart", "adapt", str(data), "--backbone", weights, "--set", "image_size=32", "--config",
                    str(config), "--group-by", "duplicates", "--seed", "3", "--set", "fit=squash", "--set", "val=0.2"]
