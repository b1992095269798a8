"""Finds the images, labels and masks in a batch, and the logits in an output, whatever they are in.

Shapes: N samples, C channels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

INPUTS = ("image", "images", "pixel_values", "x", "input", "inputs", "img", "data")
LABELS = ("label", "labels", "target", "targets", "y", "class")
MASKS = ("mask", "masks", "segmentation")
LOGITS = ("logits", "out", "output", "prediction")


class ImageReader(Protocol):
    """Callbacks whose users can tell them how to read their batches and outputs."""

    def batch_to_input(self, batch: Any) -> Tensor | None: ...
    def output_to_logits(self, output: Any) -> Tensor | None: ...


class Reader(ImageReader, Protocol):
    """Those that look at labels and masks too."""

    def batch_to_label(self, batch: Any) -> Tensor | None: ...
    def batch_to_mask(self, batch: Any) -> Tensor | None: ...


def read(reader: Reader, batch: object) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Images (N, C, H, W), labels and masks of a batch.

    Raises:
        TypeError: There are no floating-point images.
    """
    return images_read_by(reader, batch), reader.batch_to_label(batch), reader.batch_to_mask(batch)


def images_read_by(reader: ImageReader, batch: object) -> Tensor:
    """Images (N, C, H, W) of a batch.

    Raises:
        TypeError: There are no floating-point images.
    """
    inputs = reader.batch_to_input(batch)
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.is_floating_point():
        name, found = type(reader).__name__, "nothing" if inputs is None else structure(inputs)
        raise TypeError(
            f"{name} needs floating-point images (N, C, H, W), but batch_to_input found {found} in "
            f"a batch that is {structure(batch)}. Override {name}.batch_to_input(batch)."
        )
    return inputs


def logits_read_by(reader: ImageReader, output: object) -> Tensor:
    """Logits (N, K) of what ``forward`` returned.

    Raises:
        TypeError: There are none.
    """
    logits = reader.output_to_logits(output)
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        name, found = type(reader).__name__, "nothing" if logits is None else structure(logits)
        raise TypeError(
            f"{name} needs logits (N, K), but output_to_logits found {found} in what forward "
            f"returned, {structure(output)}. Override {name}.output_to_logits(output)."
        )
    return logits


def input_of(batch: object) -> Tensor | None:
    """The images: the batch itself, its entry of a usual name, or its first."""
    if isinstance(batch, Tensor):
        return batch
    return _tensor(_entry(batch, INPUTS, position=0))


def label_of(batch: object) -> Tensor | None:
    """Class indices (N,): the entry of a usual name, or the second; ``None`` if it is none."""
    label = _tensor(_entry(batch, LABELS, position=1))
    is_index = label is not None and label.ndim == 1 and not label.is_floating_point()
    return label if is_index else None


def mask_of(batch: object) -> Tensor | None:
    """Masks (N, H, W) or (N, 1, H, W) of the objects, from an entry of a usual name.

    Positions say nothing here: the third entry of a tuple may be anything.
    """
    mask = _tensor(_entry(batch, MASKS, position=None))
    return mask if mask is not None and mask.ndim in (3, 4) else None


def logits_of(output: object) -> Tensor | None:
    """Logits (N, K): the output itself, its entry of a usual name, or its first."""
    if isinstance(output, Tensor):
        return output
    return _tensor(_entry(output, LOGITS, position=0))


def structure(value: object, depth: int = 2) -> str:
    """A value's types and shapes in a few words, for error messages."""
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')}"
    name = type(value).__name__
    entries = _named(value)
    if depth and entries is not None:
        shown = [f"{key!r}: {structure(entry, depth - 1)}" for key, entry in entries.items()]
    elif depth and isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        shown = [structure(entry, depth - 1) for entry in value]
    else:
        return name
    more = ", …" if len(shown) > 6 else ""
    return f"{name}({', '.join(shown[:6])}{more})"


def _entry(value: object, names: tuple[str, ...], position: int | None) -> object:
    entries = _named(value)
    if entries is not None:
        for name in names:
            if name in entries:
                return entries[name]
        if isinstance(value, Mapping):
            return None
    is_sequence = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if position is None or not is_sequence or len(value) <= position:  # type: ignore[arg-type]
        return None
    entry: object = value[position]  # type: ignore[index]
    return entry


def _named(value: object) -> dict[str, Any] | None:
    """Entries by name, of mappings, named tuples and plain objects such as model outputs."""
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if isinstance(value, (Tensor, str, bytes, int, float, Sequence)) or value is None:
        return None
    entries = getattr(value, "__dict__", None)
    return dict(entries) if entries else None


def _tensor(value: object) -> Tensor | None:
    return value if isinstance(value, torch.Tensor) else None
