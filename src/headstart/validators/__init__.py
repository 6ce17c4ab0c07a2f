"""Validators: one file for each way to judge a model on a target domain without a label of it."""
