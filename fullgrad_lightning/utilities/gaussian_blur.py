"""A separable Gaussian blur of images."""

from __future__ import annotations

from torch import Tensor


def gaussian_blur(images: Tensor, sigma: float, truncate: float) -> Tensor:
    """Blurs images, or maps, with a Gaussian; the border is continued by its mirror image.

    Args:
        images: (N, C, H, W) or (C, H, W), floating point.
        sigma: Standard deviation in pixels, > 0.
        truncate: Radius of the kernel in standard deviations. It is at most the size of the image
            minus one, which is the size of its mirror image.
    """
    from torchvision.transforms.v2 import functional  # takes a second; most programs never blur

    radius = round(truncate * sigma)
    down, right = (2 * min(radius, side - 1) + 1 for side in images.shape[-2:])
    # One axis after the other is the same Gaussian for a small part of the time.
    for kernel in ([right, 1], [1, down]):
        images = functional.gaussian_blur(images, kernel, [sigma, sigma])
    return images
