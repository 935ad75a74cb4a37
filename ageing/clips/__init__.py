"""Clips and cameras: the same faces from frame to frame."""
