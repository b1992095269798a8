"""``fullgrad perturb``: what a network says when pixels are replaced in the order of saliency."""
