"""Mixes: two training images and their labels made into one."""
