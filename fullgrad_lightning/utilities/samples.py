"""Images, labels and masks in samples and batches, and logits in outputs, of any container.

One reader for all: callbacks, data modules and LightningModules find the same entries. A container
is a mapping, a named tuple, a dataclass, another object with attributes, a tuple or a list. An
entry is found under a usual name, else by its position (image first, label second).

Shapes: N samples, C channels, (H, W) the resolution, K classes.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from fullgrad_lightning.utilities.describe import describe, named_entries

IMAGE_NAMES = ("image", "images", "pixel_values", "x", "input", "inputs", "img", "data")
LABEL_NAMES = ("label", "labels", "target", "targets", "y", "class")
MASK_NAMES = ("mask", "masks", "segmentation")
LOGIT_NAMES = ("logits", "out", "output", "prediction")

Key: TypeAlias = str | int | None  # a name, a position, or None: the container is the entry


def image_key(container: object) -> Key:
    """Returns the name or position of the image in a sample, or of the images in a batch.

    Returns:
        ``None`` if the container is the image itself.

    Raises:
        KeyError: There is no such entry.
    """
    if _is_array(container):
        return None
    return _find_key(container, IMAGE_NAMES, 0)


def find_image(container: object) -> object:
    """Returns the image of a sample or the images of a batch, or ``None``."""
    return _entry_or_none(container, image_key)


def find_label(container: object) -> object:
    """Returns the label of a sample or the labels of a batch; ``None`` if there is no such entry.

    The second entry of a tuple or list is the label only if the first is the image.
    """
    return _entry_or_none(container, _label_key)


def find_mask(container: object) -> object:
    """Returns the object mask of a sample or a batch, from an entry of a usual name, or ``None``.

    The position proves nothing: the third entry of a tuple may be anything.
    """
    return _entry_or_none(container, lambda value: _find_key(value, MASK_NAMES, None))


def find_logits(output: object) -> object:
    """Returns the logits of an output: itself, its entry of a usual name or first, or ``None``."""
    if isinstance(output, Tensor):
        return output
    return _entry_or_none(output, lambda value: _find_key(value, LOGIT_NAMES, 0))


def batch_images(batch: object) -> Tensor | None:
    """Returns the images of a batch, (N, C, H, W), or ``None`` if no tensor is in their place."""
    return _as_tensor(find_image(batch))


def batch_labels(batch: object) -> Tensor | None:
    """Returns class indices (N,) of a batch, or ``None`` if something else is in their place."""
    labels = _as_tensor(find_label(batch))
    is_index = labels is not None and labels.ndim == 1 and not labels.is_floating_point()
    return labels if is_index else None


def batch_masks(batch: object) -> Tensor | None:
    """Returns object masks of a batch, (N, H, W) or (N, 1, H, W), or ``None``."""
    masks = _as_tensor(find_mask(batch))
    return masks if masks is not None and masks.ndim in (3, 4) else None


def require_images(batch: object) -> Tensor:
    """Returns the images of a batch, (N, C, H, W), or raises a ``TypeError``."""
    images = batch_images(batch)
    if images is None:
        raise TypeError(f"Found no images in a batch that is {describe(batch)}. {_REMEDY}")
    return images


def require_images_and_labels(batch: object) -> tuple[Tensor, Tensor]:
    """Returns images (N, C, H, W) and labels, (N,) or as the data set has them, of a batch."""
    images, labels = require_images(batch), _as_tensor(find_label(batch))
    if labels is None:
        raise TypeError(f"Found no labels in a batch that is {describe(batch)}. {_REMEDY}")
    return images, labels


def entry(container: Any, key: Key) -> Any:
    """Returns the entry of a container at a key of ``image_key``."""
    if key is None:
        return container
    if isinstance(key, str) and not _is_mapping(container):
        return getattr(container, key)
    return container[key]


def replace_entry(container: Any, key: Key, value: Any) -> Any:
    """Returns a copy of a container with another value at a key; the container is not modified."""
    if key is None:
        return value
    if isinstance(container, tuple):
        position = container._fields.index(key) if isinstance(key, str) else key  # type: ignore[attr-defined]
        changed = (*container[:position], value, *container[position + 1 :])
        return type(container)._make(changed) if hasattr(container, "_make") else changed
    is_mapping = _is_mapping(container)
    if not is_mapping and dataclasses.is_dataclass(container) and not isinstance(container, type):
        assert isinstance(key, str)
        return dataclasses.replace(container, **{key: value})
    other = copy.copy(container)
    if isinstance(key, str) and not is_mapping:
        setattr(other, key, value)
    else:
        other[key] = value
    return other


_REMEDY = (
    "A batch must be (images, labels, …), or a dict, named tuple or dataclass with entries such as "
    '"image" and "label", of tensors. Change the data set\'s samples or its collate_fn.'
)


def _find_key(container: object, names: tuple[str, ...], position: int | None) -> Key:
    entries = named_entries(container)
    if entries is not None:
        present = [name for name in names if name in entries]
        if present:  # {"image": path, "pixel_values": tensor}: the array is meant
            return next((name for name in present if _is_array(entries[name])), present[0])
        if not isinstance(container, tuple | list):
            raise KeyError(names[0])
    is_sequence = isinstance(container, Sequence) and not isinstance(container, (str, bytes))
    if position is None or not is_sequence or len(container) <= position:  # type: ignore[arg-type]
        raise KeyError(names[0])
    return position


def _label_key(container: object) -> Key:
    key = _find_key(container, LABEL_NAMES, 1)
    if isinstance(key, int) and image_key(container) != 0:  # the second of (category, image)
        raise KeyError(LABEL_NAMES[0])
    return key


def _entry_or_none(container: object, find_key: Any) -> object:
    try:
        return entry(container, find_key(container))
    except KeyError:
        return None


def _is_mapping(value: object) -> bool:
    # Builtins first: data loaders call this for each sample, and Mapping's check takes a while.
    return isinstance(value, dict) or (not isinstance(value, tuple) and isinstance(value, Mapping))


def _is_array(value: object) -> bool:
    return isinstance(value, (Tensor, np.ndarray)) or hasattr(value, "getbands")  # a PIL image


def _as_tensor(value: object) -> Tensor | None:
    return value if isinstance(value, Tensor) else None
