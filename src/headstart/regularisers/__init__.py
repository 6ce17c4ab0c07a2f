"""Regularisers: what is added to the loss to keep a fine-tuning near what was learned before."""
