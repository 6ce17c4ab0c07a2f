"""Tiny detectors of transformers with random weights."""

from typing import Any

import torch
import transformers

NAMES = ("rt_detr", "rt_detr_v2", "d_fine")
RESNET = {"model_type": "rt_detr_resnet", "embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1],
          "layer_type": "basic", "out_indices": [2, 3, 4]}
HGNET = {"model_type": "hgnet_v2", "embedding_size": 8, "hidden_sizes": [16, 16, 24, 32], "stem_channels": [3, 8, 8],
         "stage_in_channels": [8, 16, 16, 24], "stage_mid_channels": [8] * 4, "stage_out_channels": [16, 16, 24, 32],
         "stage_num_blocks": [1] * 4, "stage_numb_of_layers": [1] * 4, "depths": [1] * 4, "out_indices": [2, 3, 4]}
COMMON = {"encoder_hidden_dim": 32, "d_model": 32, "encoder_in_channels": [16, 24, 32], "hidden_expansion": 0.5,
          "decoder_in_channels": [32, 32, 32], "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "decoder_layers": 2,
          "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 20, "num_denoising": 10,
          "id2label": {"0": "cat", "1": "person", "2": "cup"}}
LIBRARY = {"rt_detr": (transformers.RTDetrConfig, transformers.RTDetrForObjectDetection, {"backbone_config": RESNET}),
           "rt_detr_v2": (transformers.RTDetrV2Config, transformers.RTDetrV2ForObjectDetection,
                          {"backbone_config": RESNET}),
           "d_fine": (transformers.DFineConfig, transformers.DFineForObjectDetection,
                      {"backbone_config": HGNET, "lqe_hidden_dim": 8})}


def tiny(kind: str, **settings: Any) -> Any:
    """Return the library's model with weights that tell something: its own start is close to nothing."""
    config, model, more = LIBRARY[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = model(config.from_dict({**COMMON, **more, **settings})).eval()
        for name, tensor in made.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif (tensor.is_floating_point() and tensor.ndim > 1) or name.endswith("running_mean"):
                tensor.normal_(0, 0.2)
            elif "norm" in name and name.endswith("weight"):
                tensor.uniform_(0.5, 1.5)
    return made
