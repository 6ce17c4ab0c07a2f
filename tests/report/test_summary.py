import pytest

from headstart.report.records import Compared
from headstart.report.summary import shows, verdict


def compared(value, low, high, *, metric="accuracy", word=""):
    return Compared.model_validate({"metric": metric, "a": "finetune", "b": "probe", "verdict": word,
                                    "difference": {"value": value, "low": low, "high": high}})


@pytest.mark.parametrize(("found", "kind", "text"), [
    (compared(0.013, -0.006, 0.032), "open",
     "finetune is ahead of probe by 1.3 points (interval −0.6 to +3.2): no difference is shown."),
    (compared(0.05, 0.01, 0.09), "better", "finetune is better than probe by 5.0 points (interval +1.0 to +9.0)."),
    (compared(-0.05, -0.09, -0.01), "worse", "finetune is worse than probe by 5.0 points (interval −9.0 to −1.0)."),
    (compared(-0.05, -0.09, -0.01, metric="log_loss"), "better",
     "finetune is better than probe by 0.050 in log loss (interval −0.090 to −0.010)."),
    (compared(0.0, 0.0, 0.0), "open",
     "finetune is equal to probe (interval +0.0 to +0.0): no difference is shown."),
    (compared(0.05, 0.01, 0.09, word="no difference shown"), "open",
     "finetune is ahead of probe by 5.0 points (interval +1.0 to +9.0): no difference is shown."),
    (compared(None, None, None), "open", "Whether finetune is better than probe could not be measured."),
])
def test_a_paired_difference_is_said_no_stronger_than_it_is(found, kind, text):
    assert (shows(found), verdict(found)) == (kind, text)
