"""Checkpoints: reading official files, translating their names, keeping our own."""
