"""Losses: what a wrong answer costs, sample by sample. `loss.py` is the contract."""
