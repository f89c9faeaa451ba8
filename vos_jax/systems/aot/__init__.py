"""AOT and DeAOT."""
