"""Domains: what methods share that adapt to images of another domain, without a label of it."""
