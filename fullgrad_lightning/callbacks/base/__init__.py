"""Base classes of the callbacks, and their access to the Trainer."""
