"""Detectors."""

from headstart.detectors.detector import DETECTORS

ON_ANY_BACKBONE = sorted(set(DETECTORS.all()) - {"torchvision"})
"""`torchvision` reads no backbone but its own: see test_published.py."""
