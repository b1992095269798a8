"""One forward pass, watched call by call."""
