"""Averages: one set of weights made of many steps' weights, which is what is validated and kept."""
