"""Losses: values from arrays, nothing else."""
