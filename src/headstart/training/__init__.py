"""Training: the one learner, its loader, checkpoints and exact resume."""
