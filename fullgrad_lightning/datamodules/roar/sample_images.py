"""Images of samples, checked, taken out, put back, and stacked to batches.

Shapes: N images of C channels, (H, W) the resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from PIL import Image
from torch import Tensor

from fullgrad_lightning.utilities.describe import describe
from fullgrad_lightning.utilities.samples import IMAGE_NAMES, Key, entry, image_key, replace_entry

Picture: TypeAlias = Tensor | Image.Image
MODES = ("L", "RGB")


def get_image(sample: object) -> Picture:
    """Returns the image of a sample, the image itself or a container of ``utilities.samples``.

    It is a tensor (C, H, W), floating point or uint8, or a grey or RGB PIL image.
    """
    return _image_and_key(sample)[0]


def replace_image(sample: Any, image: Picture) -> Any:
    """Returns the same sample with another image; the sample is not modified."""
    return replace_entry(sample, image_key(sample), image)


def get_images(samples: Sequence[Any]) -> tuple[list[Picture], Key]:
    """Returns the images of samples that are all alike, and their key, from the first alone."""
    _, key = _image_and_key(samples[0])
    return [entry(sample, key) for sample in samples], key


def image_shape(image: Picture) -> tuple[int, int, int]:
    """Returns (C, H, W)."""
    if isinstance(image, Tensor):
        channels, height, width = image.shape
        return channels, height, width
    return len(image.getbands()), image.height, image.width


def stack_images(images: Sequence[Picture]) -> Tensor:
    """Stacks images of one shape to one tensor (N, C, H, W); PIL images as uint8."""
    if isinstance(images[0], Tensor):
        # Subclasses, such as torchvision's Image, would run __torch_function__ in Python.
        with torch._C.DisableTorchFunctionSubclass():
            return torch.stack(images)  # type: ignore[arg-type]
    pictures = [image for image in images if isinstance(image, Image.Image)]
    kinds = {(image.mode, image.size) for image in pictures}
    if len(kinds) > 1 or len(pictures) < len(images):
        raise ValueError("PIL images of one batch must have one mode and size. Convert them.")
    # This takes half the time of an array for each image.
    content = bytearray().join(image.tobytes() for image in pictures)
    channels, height, width = image_shape(images[0])
    pixels = torch.frombuffer(content, dtype=torch.uint8).view(-1, height, width, channels)
    return pixels.permute(0, 3, 1, 2).contiguous()


def unstack_images(stack: Tensor, like: Sequence[Picture]) -> list[Picture]:
    """Inverts ``stack_images``: single images, of the types of those that were stacked."""
    if isinstance(like[0], Tensor):
        return [
            image if type(old) is Tensor else image.as_subclass(type(old))  # type: ignore[type-var]
            for image, old in zip(stack.unbind(), like, strict=True)
        ]
    first = like[0]
    arrays = stack.permute(0, 2, 3, 1).contiguous().numpy()
    # This is faster than Image.fromarray, which derives mode and size for each image.
    return [Image.frombytes(first.mode, first.size, array.tobytes()) for array in arrays]


def _image_and_key(sample: object) -> tuple[Picture, Key]:
    try:
        key = image_key(sample)
    except KeyError:
        key = None  # the error below describes the sample
    image = entry(sample, key)
    if isinstance(image, Tensor):
        usable = image.ndim == 3 and (image.is_floating_point() or image.dtype == torch.uint8)
    else:
        usable = isinstance(image, Image.Image) and image.mode in MODES
    if not usable:
        raise TypeError(
            "An image must be a tensor (C, H, W), floating point or uint8, or a PIL image of mode "
            f"{' or '.join(MODES)}, got {describe(image)}, from a sample that is "
            f"{describe(sample)}. Samples may be images, tuples or lists that begin with one, or "
            f"dicts, named tuples and dataclasses with a usual name ({', '.join(IMAGE_NAMES)}). "
            "Convert it in the data set or in its transform."
        )
    return image, key
