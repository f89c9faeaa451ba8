"""Ground floor: errors, sizes, resizing, labels, commands."""
