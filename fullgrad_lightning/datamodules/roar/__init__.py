"""Any data module's images without the pixels that a saliency method names."""
