"""Exported: a backbone as an ONNX graph run by ONNX Runtime. The only door to it."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.data.transforms import Preprocessing
from headstart.features.eager import evaluating

# B images, D features, S pixels a side, C channels

OPSET = 17
LARGEST_BYTES = 1_800_000_000
"""A graph in one piece must stay under 2 GB, protobuf's limit."""


class Exported:
    """Pooled features on a CPU, one picture at a time in as many threads as call.

    With every shape fixed the graph folds into its convolutions alone, and threads that each have a picture never wait
    for each other. Larger batches were not faster. A vector does not depend on the pictures beside it.
    """

    name = "exported-float32"

    def __init__(self, backbone: Backbone, preprocessing: Preprocessing) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session: Any = onnxruntime.InferenceSession(graph(backbone, preprocessing), options,
                                                         providers=["CPUExecutionProvider"])

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 [B, D] from uint8 [B, S, S, C]. May be called by several threads at once."""
        return np.concatenate([self.session.run(None, {"pixels": pixels[row:row + 1]})[0]
                               for row in range(len(pixels))])


class _Graph(nn.Module):
    """Normalisation and backbone, from the pixels as they are decoded: uint8 [1, S, S, C] -> float32 [1, D]."""

    def __init__(self, backbone: Backbone, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.backbone, self.preprocessing = backbone, preprocessing

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.backbone.pooled(self.preprocessing.normalise(pixels.permute(0, 3, 1, 2)))
        return vectors


def graph(backbone: Backbone, preprocessing: Preprocessing) -> bytes:
    """Return the ONNX graph for one picture. The backbone is left as it is; no file is written.

    Raises whatever the exporter raises on a model that it can't trace; ValueError on one above 1.8 GB.
    """
    size = sum(tensor.nbytes for tensor in backbone.state_dict().values())
    if size > LARGEST_BYTES:
        raise ValueError(f"its weights take {size / 1e9:.1f} GB, and an ONNX graph in one piece holds 2")
    side, device = preprocessing.size, next((p.device for p in backbone.parameters()), torch.device("cpu"))
    example = torch.zeros((1, side, side, preprocessing.channels), dtype=torch.uint8, device=device)
    file = io.BytesIO()
    with evaluating(backbone), warnings.catch_warnings(), torch.no_grad(), _stdout_closed():
        # The tracing exporter is called outdated; the new one takes 15 s where this takes 1, for the same graph.
        warnings.simplefilter("ignore")
        torch.onnx.export(_Graph(backbone, preprocessing).eval(), (example,), file, dynamo=False,  # type: ignore[arg-type]
                          input_names=["pixels"], output_names=["vectors"], opset_version=OPSET)
    return file.getvalue()


@contextlib.contextmanager
def _stdout_closed() -> Iterator[None]:
    """Drop standard output: on failure the exporter's C++ prints the whole graph there, into a command's JSON."""
    sys.stdout.flush()
    flush = ctypes.CDLL(None).fflush
    flush(None)
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        flush(None)  # C's own buffer, before it would land in the real output
        os.dup2(kept, 1)
        os.close(kept)
