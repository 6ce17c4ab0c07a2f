"""Runs on record: a listener that journals what happens, and a process of its own that tells MLflow."""

from headstart.tracking.listener import WITHOUT_TELEMETRY, MlflowListener, default_uri, page_command, tracked

__all__ = ["WITHOUT_TELEMETRY", "MlflowListener", "default_uri", "page_command", "tracked"]
