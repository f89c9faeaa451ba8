"""Prepared records, clips, augmentation and the training pipeline."""
