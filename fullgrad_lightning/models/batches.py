"""Images and labels of a batch, however a data set packs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def images_and_labels(batch: Any) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and class indices (N,) of a batch.

    Args:
        batch: ``(images, labels, …)``, a named tuple of that order, or a dict with ``"image"`` and
            ``"label"``.

    Raises:
        TypeError: Anything else.
    """
    if isinstance(batch, Mapping) and {"image", "label"} <= batch.keys():
        pair = batch["image"], batch["label"]
    elif isinstance(batch, tuple | list) and len(batch) >= 2:
        pair = batch[0], batch[1]
    else:
        raise _unknown(batch)
    if not all(isinstance(part, Tensor) for part in pair):
        raise _unknown(batch)
    return pair


def images_alone(batch: Any) -> Tensor:
    """Images (N, C, H, W) of a batch that needs no labels: as ``images_and_labels``, or a tensor.

    Raises:
        TypeError: Anything else.
    """
    if isinstance(batch, Mapping) and "image" in batch:
        batch = batch["image"]
    elif isinstance(batch, tuple | list) and batch:
        batch = batch[0]
    if not isinstance(batch, Tensor):
        raise _unknown(batch)
    return batch


def numbered(batch: Any, target: str | int) -> tuple[Tensor, Tensor, Tensor | int | None]:
    """Row numbers, images and the class to explain, of a batch that knows its rows.

    Args:
        batch: Row numbers (N,), and the batch itself, as ``images_and_labels`` or
            ``images_alone``.
        target: ``"predicted"``, ``"label"`` or a class index.

    Returns:
        Rows (N,) on the CPU; images (N, C, H, W); and ``None`` (the top class of each image), the
        labels (N,), or the index.

    Raises:
        TypeError: A batch of another kind, or without labels that the target needs.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not _rows(batch[0]):
        raise TypeError(
            "A batch must be (row numbers (N,), batch), as ROARDataModule.predict_dataloader() "
            f"yields, got {type(batch).__name__}."
        )
    rows, content = batch
    if target == "label":
        images, labels = images_and_labels(content)
        return rows.cpu(), images, labels
    return rows.cpu(), images_alone(content), target if isinstance(target, int) else None


def _rows(value: object) -> bool:
    return isinstance(value, Tensor) and value.ndim == 1 and value.dtype == torch.int64


def _unknown(batch: Any) -> TypeError:
    return TypeError(
        'A batch must be (images, labels, …) or a dict with "image" and "label", of tensors; got '
        f"{_structure(batch)}. Change the data set's samples or its collate_fn."
    )


def _structure(batch: Any) -> str:
    if isinstance(batch, Tensor):
        return f"a tensor {tuple(batch.shape)}"
    if isinstance(batch, Mapping):
        return "{" + ", ".join(f"{k!r}: {_structure(v)}" for k, v in batch.items()) + "}"
    if isinstance(batch, tuple | list):
        return "(" + ", ".join(map(_structure, batch)) + ")"
    return type(batch).__name__
