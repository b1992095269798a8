"""Weights of a network: loading from a checkpoint, and a hash."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def load_weights(model: nn.Module, checkpoint: str) -> None:
    """Loads a file of a Lightning checkpoint, or of a plain ``state_dict``, into the same network.

    For a Lightning checkpoint, that is the LightningModule that was saved.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"There is no checkpoint {checkpoint}. Is the path right?")
    if not _is_saved_by_torch(checkpoint):
        raise ValueError(
            f"{checkpoint} is not a checkpoint: torch.save did not write it. Pass a Lightning "
            "checkpoint or a file of torch.save(model.state_dict(), path)."
        )
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{checkpoint} holds objects that could run code when they are loaded, so it was not. "
            "Load it where you trust it, and save the state_dict alone: "
            "torch.save(model.state_dict(), path)."
        ) from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(
            f"{checkpoint} should hold a state_dict, by itself or as the entry 'state_dict' of a "
            f"dict, got {type(weights).__name__}."
        )
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"The weights in {checkpoint} {_misfit(model, weights)}") from error


def weights_hash(model: nn.Module) -> str:
    """Returns the SHA-256 of name, dtype, shape and bytes of all ``state_dict`` entries, in hex.

    It is the same on every device; entries other than tensors (extra state) count by ``repr``.

    Examples:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> weights_hash(a) == weights_hash(b)
        False
        >>> b.load_state_dict(a.state_dict())
        <All keys matched successfully>
        >>> weights_hash(a) == weights_hash(b)
        True
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if not isinstance(value, Tensor):
            digest.update(repr((name, value)).encode())
            continue
        digest.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        content = value.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def _is_saved_by_torch(checkpoint: str) -> bool:
    """Returns whether it is a zip file, or a pickle as torch wrote them before 1.6."""
    with open(checkpoint, "rb") as file:
        return zipfile.is_zipfile(file) or (file.seek(0) == 0 and file.read(1) == b"\x80")


def _misfit(model: nn.Module, weights: dict[str, Any]) -> str:
    """Describes a few of the entries that do not fit: there may be hundreds."""
    expected = model.state_dict()
    common = [name for name in expected if name in weights]
    shapes = {name: tuple(getattr(weights[name], "shape", ())) for name in common}
    groups = {
        "missing are": [name for name in expected if name not in weights],
        "unknown are": [name for name in weights if name not in expected],
        "of another shape are": [
            f"{name} {shapes[name]} for {tuple(expected[name].shape)}"
            for name in common
            if isinstance(expected[name], Tensor) and shapes[name] != expected[name].shape
        ],
    }
    differences = "; ".join(f"{title} {_first(names)}" for title, names in groups.items() if names)
    text = (
        f"do not fit {type(model).__name__}: {differences}. Build the model with the class and the "
        "options that it was trained with."
    )
    prefix, *others = {name.partition(".")[0] for name in weights} or {""}
    if not others and not common:
        text += (
            f" All entries begin with {prefix + '.'!r}: they are of a module that holds the "
            f"network as {prefix!r}; name that module's class."
        )
    return text


def _first(names: list[str], count: int = 3) -> str:
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")
