"""Detectors."""

from headstart.detectors.detector import DETECTORS

ON_ANY_BACKBONE = sorted(set(DETECTORS.all()) - {"torchvision", "transformers"})
"""The others read no backbone but their own: see test_published.py and test_transformers.py."""
