"""Tasks: what is predicted, its loss, its probabilities and its metrics."""
