"""What the maps of a finished network are worth, without retraining it."""
