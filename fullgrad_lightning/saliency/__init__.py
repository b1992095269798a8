"""Saliency maps."""
