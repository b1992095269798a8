"""The image in a sample, wherever a data set puts it, taken out and put back.

Shapes: N images of C channels, (H, W) their size.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Picture: TypeAlias = Tensor | Image.Image
NAMES = ("image", "images", "pixel_values", "x", "input", "inputs", "img", "data")
MODES = ("L", "RGB")


def image_of(item: object) -> Picture:
    """The image of a sample.

    Args:
        item: The image itself; or a dict or named tuple with an entry of a usual name (``image``,
            ``pixel_values``, ``x``, …); or a tuple or list that begins with it.

    Returns:
        A tensor (C, H, W), floating point or uint8, or a grey or RGB PIL image, as it is in there.

    Raises:
        TypeError: There is none.
    """
    place = _place(item)
    image: Any = item if place is None else item[place]  # type: ignore[index]
    if isinstance(image, Tensor):
        fits = image.ndim == 3 and (image.is_floating_point() or image.dtype == torch.uint8)
    else:
        fits = isinstance(image, Image.Image) and image.mode in MODES
    if not fits:
        raise TypeError(
            "An image must be a tensor (C, H, W), floating point or uint8, or a PIL image of mode "
            f"{' or '.join(MODES)}; came {_described(image)}, from a sample that is "
            f"{_described(item)}. Samples may be images, tuples or lists that begin with one, or "
            f"dicts and named tuples with one under a usual name ({', '.join(NAMES)}). Convert it "
            "in the data set or in its transform."
        )
    return image  # type: ignore[no-any-return]


def with_image(item: Any, image: Picture) -> Any:
    """The same sample with another image; all else is passed on as it is.

    Args:
        item: As ``image_of`` takes it; it is not modified.
        image: What takes the place of its image.
    """
    return _put(item, _place(item), image)


def images_of(items: Sequence[Any]) -> list[Picture]:
    """The images of samples that are all alike, of which only the first is looked at.

    Raises:
        TypeError: It has none.
    """
    image_of(items[0])
    place = _place(items[0])
    return list(items) if place is None else [item[place] for item in items]


def with_images(items: Sequence[Any], images: Sequence[Picture]) -> list[Any]:
    """Samples that are all alike with other images, as ``with_image``."""
    place = _place(items[0])
    return [_put(item, place, image) for item, image in zip(items, images, strict=True)]


def shape_of(image: Picture) -> tuple[int, int, int]:
    """(C, H, W)."""
    if isinstance(image, Tensor):
        channels, height, width = image.shape
        return channels, height, width
    return len(image.getbands()), image.height, image.width


def stacked(images: Sequence[Picture]) -> Tensor:
    """Images of one shape as one tensor (N, C, H, W); PIL images as uint8.

    Raises:
        ValueError: PIL images of different modes or sizes.
    """
    if isinstance(images[0], Tensor):
        # Subclasses, such as torchvision's Image, would be asked in Python what they make of it.
        with torch._C.DisableTorchFunctionSubclass():
            return torch.stack(images)  # type: ignore[arg-type]
    pictures = [image for image in images if isinstance(image, Image.Image)]
    kinds = {(image.mode, image.size) for image in pictures}
    if len(kinds) > 1 or len(pictures) < len(images):
        raise ValueError("PIL images of one batch must have one mode and size. Convert them.")
    # Half the time of an array for each.
    content = bytearray().join(image.tobytes() for image in pictures)
    channels, height, width = shape_of(images[0])
    pixels = torch.frombuffer(content, dtype=torch.uint8).view(-1, height, width, channels)
    return pixels.permute(0, 3, 1, 2).contiguous()


def unstacked(stack: Tensor, like: Sequence[Picture]) -> list[Picture]:
    """The inverse: single images, of the types of those that were stacked."""
    if isinstance(like[0], Tensor):
        return [
            image if type(old) is Tensor else image.as_subclass(type(old))  # type: ignore[type-var]
            for image, old in zip(stack.unbind(), like, strict=True)
        ]
    first = like[0]
    pixels = stack.permute(0, 2, 3, 1).contiguous().numpy()
    # Faster than Image.fromarray, which finds out mode and size for each.
    return [Image.frombytes(first.mode, first.size, one.tobytes()) for one in pixels]


def _place(item: object) -> Any:
    """The key or position of the image in a sample; ``None`` if it is the sample itself."""
    if isinstance(item, Mapping):
        return next((name for name in NAMES if name in item), None)
    if isinstance(item, tuple | list) and item:
        fields = getattr(item, "_fields", ())
        return next((fields.index(name) for name in NAMES if name in fields), 0)
    return None


def _put(item: Any, place: Any, image: Picture) -> Any:
    if place is None:
        return image
    if isinstance(item, tuple):
        changed = (*item[:place], image, *item[place + 1 :])
        return type(item)._make(changed) if hasattr(item, "_make") else changed
    other = copy.copy(item)
    other[place] = image
    return other


def _described(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    if isinstance(value, Image.Image):
        return f"a PIL image of mode {value.mode}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array {value.shape} of {value.dtype}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {', '.join(map(repr, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {', '.join(type(part).__name__ for part in value)}"
    return f"a {type(value).__name__}"
