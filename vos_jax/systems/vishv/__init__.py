"""STEm-Seg and VIShv."""
