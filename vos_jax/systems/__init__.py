"""The interface and the systems behind it."""
