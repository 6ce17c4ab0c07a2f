"""Headstart: transfer learning for computer vision, done right.

    import headstart as hs
    data = hs.load_data("flowers/")
    run = hs.adapt(data, backbone="efficientnet_lite0", method="finetune")
    run.metrics["accuracy"]        # value, low, high

Everything is imported when it is first used, so that `import headstart` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.api import (
        adapt,
        advise,
        check,
        compare,
        convert,
        evaluate,
        find_label_errors,
        forecast,
        mismatch,
        predict,
        rank,
        reproduce,
        resume,
        similar,
        tune,
        verify,
    )
    from headstart.data.dataset import Dataset
    from headstart.data.load import load_data
    from headstart.errors import HeadstartError
    from headstart.job import Job
    from headstart.model import Model
    from headstart.runs import Run, list_runs, load_run

_HOMES = {
    "adapt": "api", "advise": "api", "check": "api", "compare": "api", "convert": "api", "evaluate": "api",
    "find_label_errors": "api", "forecast": "api", "mismatch": "api",
    "predict": "api", "rank": "api", "reproduce": "api",
    "resume": "api", "similar": "api", "tune": "api", "verify": "api",
    "Dataset": "data.dataset", "load_data": "data.load", "HeadstartError": "errors", "Job": "job", "Model": "model",
    "Run": "runs", "list_runs": "runs", "load_run": "runs",
}
__all__ = ["Dataset", "HeadstartError", "Job", "Model", "Run", "adapt", "advise", "check", "compare", "convert",
           "evaluate", "find_label_errors", "forecast", "list_runs", "load_data", "load_run", "mismatch",
           "predict", "rank", "reproduce", "resume", "similar", "tune", "verify"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    return getattr(import_module(f"headstart.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
