import socket
import time

import pytest

from headstart.tracking.journal import Journal, Record
from headstart.tracking.recorder import STALE_SECONDS, Store, clean
from tests.tracking.stores import empty_store, rows


def whole_run(directory, run="abc"):
    directory.mkdir()
    (directory / "report.html").write_text("<p>report")
    journal = Journal(directory)
    journal.append(Record("start", run, words={"method.0.method": "probe", "seed": "3"}))
    journal.append(Record("metrics", run, numbers={"probe/train_loss": 0.9, "probe/val_loss": 1.1}, step=10))
    journal.append(Record("metrics", run, numbers={"probe/train_loss": 0.4, "probe/val_loss": 1.3}, step=20))
    journal.append(Record("end", run, numbers={"test/accuracy": 0.75, "test/accuracy_low": 0.5}, status="FINISHED"))
    return journal


def test_a_run_arrives_whole(tmp_path):
    store = Store(empty_store(tmp_path))
    store.deliver(whole_run(tmp_path / "flowers-probe"))
    assert rows(tmp_path, "SELECT name, status FROM runs") == [("flowers-probe", "FINISHED")]
    assert rows(tmp_path, "SELECT key, value FROM params ORDER BY key") == [("method.0.method", "probe"), ("seed", "3")]
    assert rows(tmp_path, "SELECT step, value FROM metrics WHERE key='probe/val_loss' ORDER BY step") == [
        (10, 1.1), (20, 1.3)]
    assert rows(tmp_path, "SELECT key, value FROM latest_metrics WHERE key LIKE 'test/%' ORDER BY key") == [
        ("test/accuracy", 0.75), ("test/accuracy_low", 0.5)]
    assert [file.read_text() for file in tmp_path.glob("mlartifacts/**/report.html")] == ["<p>report"]


def test_delivering_again_records_nothing_twice(tmp_path):
    uri = empty_store(tmp_path)
    journal = whole_run(tmp_path / "run")
    Store(uri).deliver(journal)
    count = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM metrics), (SELECT count(*) FROM params)"
    before = rows(tmp_path, count)
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text("".join(line for line in lines if "delivered" not in line))
    Store(uri).deliver(journal)
    assert rows(tmp_path, count) == before == [(1, 6, 2)]


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(tmp_path):
    store = Store(empty_store(tmp_path))
    (tmp_path / "run").mkdir()
    journal = Journal(tmp_path / "run")
    for record in (Record("start", "abc"), Record("end", "abc", status="KILLED"), Record("start", "abc")):
        journal.append(record)
    store.deliver(journal)
    assert rows(tmp_path, "SELECT status FROM runs") == [("RUNNING",)]
    journal.append(Record("end", "abc", status="FINISHED"))
    store.deliver(journal)
    assert rows(tmp_path, "SELECT status FROM runs") == [("FINISHED",)]


def test_a_record_that_mlflow_refuses_does_not_hold_up_the_next(tmp_path):
    store = Store(empty_store(tmp_path))
    (tmp_path / "run").mkdir()
    journal = Journal(tmp_path / "run")
    journal.append(Record("start", "abc", words={"seed": "1"}))
    journal.append(Record("start", "abc", words={"seed": "2"}))  # MLflow never changes a parameter
    journal.append(Record("end", "abc", status="FINISHED"))
    store.deliver(journal)
    assert rows(tmp_path, "SELECT status FROM runs") == [("FINISHED",)]
    assert journal.settled()


def test_the_next_start_ends_and_delivers_what_a_killed_run_left(tmp_path):
    uri = empty_store(tmp_path)
    for name in ("dead", "alive"):
        (tmp_path / name).mkdir()
        Journal(tmp_path / name).append(Record("start", name))
        Journal(tmp_path / name).append(Record("metrics", name, numbers={"loss": 1.0}))
    with Journal(tmp_path / "alive").held():
        store = Store(uri)
        store.deliver(Journal(tmp_path / "alive"))
        store.catch_up(tmp_path)
    assert dict(rows(tmp_path, "SELECT name, status FROM runs")) == {"dead": "KILLED", "alive": "RUNNING"}
    assert rows(tmp_path, "SELECT count(*) FROM metrics") == [(2,)]


@pytest.mark.parametrize(("age", "status"), [(STALE_SECONDS + 60, "KILLED"), (60, "RUNNING")])
def test_a_run_on_another_machine_is_dead_when_its_heart_stops(tmp_path, age, status):
    store = Store(empty_store(tmp_path))
    (tmp_path / "run").mkdir()
    journal = Journal(tmp_path / "run")
    journal.append(Record("start", "abc"))
    store.deliver(journal)
    run = rows(tmp_path, "SELECT run_uuid FROM runs")[0][0]
    store.client.set_tag(run, "headstart.host", f"not-{socket.gethostname()}")
    store.client.set_tag(run, "headstart.heartbeat", str(int(time.time() - age)))
    store.catch_up(tmp_path / "elsewhere")
    assert rows(tmp_path, "SELECT status FROM runs") == [(status,)]


def test_runs_of_other_programs_are_left_alone(tmp_path):
    store = Store(empty_store(tmp_path))
    store.client.create_run(store.experiment)
    store.catch_up(tmp_path)
    assert rows(tmp_path, "SELECT status FROM runs") == [("RUNNING",)]


def test_names_that_mlflow_refuses_are_cleaned():
    assert clean("val_f1[rose & tulip]") == "val_f1_rose _ tulip_"
    assert clean("/probe/loss/") == "probe/loss"
    assert clean("") == "_"


def test_mlflow_does_not_phone_home(tmp_path):
    Store(empty_store(tmp_path))
    from mlflow.telemetry import get_telemetry_client
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
    assert get_telemetry_client() is None
