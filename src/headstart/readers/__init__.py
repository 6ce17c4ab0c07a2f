"""Readers: one file per data format; each turns a path into a Dataset."""
