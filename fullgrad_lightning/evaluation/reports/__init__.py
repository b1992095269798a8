"""What reports share: tables as text, curves, statistics. Imports no torch."""
