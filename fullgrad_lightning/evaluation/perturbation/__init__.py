"""Evaluation by replacing pixels, without retraining: ``fullgrad perturb``."""
