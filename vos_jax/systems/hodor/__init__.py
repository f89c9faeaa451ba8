"""HODOR: high-level object descriptors for object re-segmentation."""
