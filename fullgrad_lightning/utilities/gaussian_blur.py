"""A separable Gaussian blur of images."""

from __future__ import annotations

from torch import Tensor


def gaussian_blur(images: Tensor, sigma: float, truncate: float) -> Tensor:
    """Blurs images (…, C, H, W), floating point; the border is continued by its mirror image.

    The Gaussian has a standard deviation of ``sigma`` > 0 pixels. It is cut off at ``truncate``
    standard deviations, and at the size of the image minus one, that of its mirror image.
    """
    from torchvision.transforms.v2 import functional  # takes a second; most programs never blur

    radius = round(truncate * sigma)
    down, right = (2 * min(radius, side - 1) + 1 for side in images.shape[-2:])
    # One axis after the other is the same Gaussian for a small part of the time.
    for kernel in ([right, 1], [1, down]):
        images = functional.gaussian_blur(images, kernel, [sigma, sigma])
    return images
