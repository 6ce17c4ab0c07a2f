"""Data sets: what they hold, how they are checked, split, fingerprinted and turned into tensors."""
