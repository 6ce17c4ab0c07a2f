"""Backbones: pretrained models, one file per source of weights (`packaged`, `timm`, `torchvision`,
`torchvision_detectors`, `transformers_detectors`, `yolox`, `local`, `ensemble`).

Ask for a model by name through `resolve`: `resolve.load("efficientnet_lite0")`. Finding and listing models imports
neither torch nor timm; building one does.
"""

NOT_PARTS = frozenset({"backbone", "channels", "coco", "detector_backbone", "drop_path", "ensemble_backbone", "hub",
                       "licenses", "maps", "records", "resolve", "stages", "state_dicts", "timm_backbone",
                       "torchvision_backbone", "torchvision_detectors_backbone", "transformers_detectors_backbone",
                       "transformers_library", "yolox_backbone", "yolox_layers", "yolox_network"})
"""Modules beside the leaves: what the sources share."""
