"""Sessions, whole videos, benchmarks."""
