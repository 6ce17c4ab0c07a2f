"""Headstart: transfer learning for computer vision, done right."""
