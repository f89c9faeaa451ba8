"""Mask-Propagation: the propagation part of MiVOS."""
