"""Parity with the official programs: one generic runner over recorded cases."""
