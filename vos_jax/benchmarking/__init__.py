"""Our programs beside the originals, in the same run."""
