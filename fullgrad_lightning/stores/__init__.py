"""Resumable results on disk: pixel ranks and per-sample curves."""
