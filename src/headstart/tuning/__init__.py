"""Tuning: search the settings with which the data are learnt best, then train and prove the winner once."""
