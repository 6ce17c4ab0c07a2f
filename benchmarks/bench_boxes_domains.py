"""Detectors on another domain: a set and a copy of other images of it in another light, by each method that adapts.

    python benchmarks/bench_boxes_domains.py [--sets bccd,pennfudan] [--views dusk] [--methods fda]    measure
    python benchmarks/bench_boxes_domains.py --table                                                   print the table

Half of the train and validation part of a set is the source; the other half, changed by a view, is the target, whose
boxes prove alone. Every method starts from the source's fine-tuned detector. Guards are off: what they would have said
stands beside. Results are appended to results/boxes_domains.jsonl.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_detection import BACKBONE, read
from PIL import Image, ImageFilter
from side_by_side.measure import commit

import headstart
from headstart.data.dataset import Dataset
from headstart.writers.writer import WRITERS

RESULTS = Path(__file__).parent / "results" / "boxes_domains.jsonl"
SETTINGS: dict[str, Any] = {"image_size": 256, "detector": "yolox", "tracking": "off", "allow": ["leak_near"]}
EPOCHS = {"bccd": 12, "pennfudan": 24}
METHODS: dict[str, dict[str, Any]] = {
    "adabn": {"method": "adabn"}, "fda": {"method": "fda"}, "mean_teacher": {"method": "mean_teacher"}}
SEED = 0
