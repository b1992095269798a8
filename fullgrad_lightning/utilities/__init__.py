"""Argument checks, file operations, locks, seeds and batch parsing; imported by all rooms."""
