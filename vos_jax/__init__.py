"""Video object segmentation in JAX and Flax: five systems behind one interface."""
