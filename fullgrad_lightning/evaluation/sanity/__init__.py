"""Model parameter randomisation test of saliency maps: ``fullgrad sanity``."""
