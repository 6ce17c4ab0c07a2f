"""Pairs of domains for bench_domains.py: where the pictures come from, and a network for digits."""
