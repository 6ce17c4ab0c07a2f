"""Backbones: pretrained models, one file per source of weights."""
