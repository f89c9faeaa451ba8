"""Scores of masks against annotations."""
