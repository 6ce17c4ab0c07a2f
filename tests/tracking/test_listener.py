import os
import resource
import time

from headstart import events
from headstart.tracking import MlflowListener, default_uri, page_command
from headstart.tracking.journal import FILE_NAME, Journal
from headstart.tracking.listener import flattened, headline
from tests.tracking.stores import empty_store, rows


def started(directory, resumed=False):
    directory.mkdir(parents=True, exist_ok=True)
    return events.RunStarted(directory, {"seed": 0, "method": [{"method": "probe", "l2": None}]}, resumed)


def test_a_run_reaches_mlflow_and_its_events_cost_the_run_no_time(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    empty_store(tmp_path)
    notes = []
    listener = MlflowListener(listen=notes.append, patience=120)
    begin = time.perf_counter()
    listener(started(tmp_path / "run"))
    for epoch in range(5):
        listener(events.EpochEnded("finetune", epoch, 10 * epoch, {"val_loss": 1 / (epoch + 1)}))
    spent = time.perf_counter() - begin
    accuracy = {"value": 0.9, "low": 0.8, "high": 0.95}
    listener(events.RunFinished(tmp_path / "run", "finished", {"test": {"accuracy": accuracy}}))
    assert spent < 1.0
    assert notes == []
    assert rows(tmp_path, "SELECT name, status FROM runs") == [("run", "FINISHED")]
    assert rows(tmp_path, "SELECT count(*) FROM metrics WHERE key = 'finetune/val_loss'") == [(5,)]
    assert rows(tmp_path, "SELECT value FROM latest_metrics WHERE key = 'test/accuracy_high'") == [(0.95,)]
    assert Journal(tmp_path / "run").settled()
    assert not (tmp_path / "home").exists()


def test_a_resumed_run_keeps_its_identity_and_a_new_one_does_not(tmp_path):
    identities = []
    for resumed in (False, True, False):
        listener = MlflowListener("http://127.0.0.1:9", patience=0)
        listener(started(tmp_path / "run", resumed))
        listener(events.RunFinished(tmp_path / "run", "interrupted"))
        identities.append(Journal(tmp_path / "run").records()[-1].run)
    assert identities[0] == identities[1] != identities[2]


def test_a_journal_that_cannot_be_written_is_said_once(tmp_path):
    notes = []
    listener = MlflowListener("http://127.0.0.1:9", listen=notes.append, patience=0)
    event = started(tmp_path / "run")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))  # as a full disk: not one byte more
    try:
        listener(event)
        listener(events.EpochEnded("probe", 0, 0, {"val_loss": 1.0}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    listener(events.RunFinished(tmp_path / "run", "finished"))
    assert [note.level for note in notes] == ["warning"]
    assert "journal could not be written" in notes[0].text
    assert "The run goes on" in notes[0].text


def test_events_of_no_interest_leave_no_trace(tmp_path):
    listener = MlflowListener()
    for event in (events.Note("hello"), events.Started("read"), events.Progress("read", 1)):
        listener(event)
    assert list(tmp_path.iterdir()) == []


def test_the_store_lies_beside_the_runs_unless_the_environment_names_one(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert default_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000")
    assert default_uri(tmp_path) == "http://tracker:5000"


def test_the_page_is_served_to_this_machine_only():
    command = page_command("sqlite:///x.db", port=5001)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5001"


def test_settings_are_named_by_their_path():
    settings = {"seed": 0, "method": [{"method": "probe"}, {"epochs": 5, "betas": [0.9, 0.99]}], "data": {"skip": None}}
    assert dict(flattened(settings)) == {"seed": "0", "method.0.method": "probe", "method.1.epochs": "5",
                                         "method.1.betas": "[0.9, 0.99]", "data.skip": "None"}


def test_undefined_metrics_are_left_out():
    metrics = {"test": {"auroc": {"value": None, "low": None, "high": None}, "mcc": {"value": 0.5, "low": 0.25}}}
    assert dict(headline(metrics)) == {"test/mcc": 0.5, "test/mcc_low": 0.25}


def test_the_journal_is_a_hidden_file_of_the_run(tmp_path):
    listener = MlflowListener("http://127.0.0.1:9", patience=0)
    listener(started(tmp_path / "run"))
    listener(events.RunFinished(tmp_path / "run", "failed"))
    assert os.listdir(tmp_path / "run") == [FILE_NAME]
    assert Journal(tmp_path / "run").records()[-1].status == "FAILED"
