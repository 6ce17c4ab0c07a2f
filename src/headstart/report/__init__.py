"""The report: one self-contained page that is read from a run directory and nothing else."""
