import json
import math
import os
import subprocess
import sys

from headstart.tracking.journal import FILE_NAME, Journal, Record


def test_records_come_back_as_they_were(tmp_path):
    journal = Journal(tmp_path)
    written = [Record("start", "r", words={"seed": "0"}),
               Record("metrics", "r", numbers={"probe/val_loss": 0.5}, step=7),
               Record("end", "r", numbers={"test/accuracy": 0.9}, status="FINISHED")]
    for record in written:
        journal.append(record)
    assert journal.records() == written


def test_a_loss_that_is_not_a_number_is_kept(tmp_path):
    Journal(tmp_path).append(Record("metrics", "r", numbers={"loss": float("nan")}))
    assert math.isnan(Journal(tmp_path).records()[0].numbers["loss"])


def test_a_line_torn_by_a_kill_costs_that_line_only(tmp_path):
    journal = Journal(tmp_path)
    journal.append(Record("start", "r"))
    journal.append(Record("metrics", "r", step=1))
    file = tmp_path / FILE_NAME
    file.write_bytes(file.read_bytes()[:-9])
    journal.append(Record("metrics", "r", step=2))
    assert [record.step for record in journal.records()] == [0, 2]


def test_a_run_is_settled_once_its_end_is_delivered(tmp_path):
    journal = Journal(tmp_path)
    journal.append(Record("start", "r"))
    journal.mark_delivered(1)
    assert not journal.settled()
    journal.append(Record("end", "r", status="FINISHED"))
    assert not journal.settled()
    journal.mark_delivered(2)
    assert journal.settled()


def test_a_run_without_an_end_gets_one_and_only_one(tmp_path):
    journal = Journal(tmp_path)
    journal.append(Record("start", "r"))
    journal.close_as_killed()
    journal.close_as_killed()
    assert [record.status for record in journal.records()] == ["", "KILLED"]


def test_the_lock_tells_whether_the_process_lives(tmp_path):
    Journal(tmp_path).append(Record("start", "r"))
    program = ("import sys, pathlib; from headstart.tracking.journal import Journal\n"
               f"with Journal(pathlib.Path({str(tmp_path)!r})).held(): print('held', flush=True); sys.stdin.read()")
    holder = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    assert not Journal(tmp_path).abandoned()
    holder.kill()
    holder.communicate()
    assert Journal(tmp_path).abandoned()


def test_each_line_is_one_json_object(tmp_path):
    Journal(tmp_path).append(Record("start", "r", words={"name": "line\nbreak"}))
    lines = (tmp_path / FILE_NAME).read_text().splitlines()
    assert [json.loads(line)["words"] for line in lines] == [{"name": "line\nbreak"}]
    assert os.listdir(tmp_path) == [FILE_NAME]
