"""Flax modules that several systems use."""
