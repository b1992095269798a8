"""The weights of a network: loaded from a checkpoint, and told apart by a hash."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def load_weights(model: nn.Module, checkpoint: str) -> None:
    """Loads a Lightning checkpoint, or a plain ``state_dict``, into a network of the same kind.

    Args:
        model: What was saved: of a Lightning checkpoint, the LightningModule.
        checkpoint: Path of a file that ``torch.save`` or a Trainer wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds other than tensors and plain values, no weights, or those of another
            network.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"There is no checkpoint {checkpoint}. Is the path right?")
    if not _is_saved_by_torch(checkpoint):
        raise ValueError(
            f"{checkpoint} is no checkpoint: torch.save did not write it. Give a Lightning "
            "checkpoint or a file of torch.save(model.state_dict(), path)."
        )
    try:
        found = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{checkpoint} holds objects that could run code when they are loaded, so it was not. "
            "Load it where you trust it, and save the state_dict alone: "
            "torch.save(model.state_dict(), path)."
        ) from error
    weights = found.get("state_dict", found) if isinstance(found, dict) else found
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
    """SHA-256 over name, dtype, shape and bytes of every entry of the ``state_dict``, in hex.

    The same on every device; entries that are no tensors (extra state) count by their ``repr``.

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
    """A zip file, or a pickle as torch wrote them before 1.6."""
    with open(checkpoint, "rb") as file:
        return zipfile.is_zipfile(file) or (file.seek(0) == 0 and file.read(1) == b"\x80")


def _misfit(model: nn.Module, weights: dict[str, Any]) -> str:
    """Names a few of the entries that do not fit: there may be hundreds."""
    own = model.state_dict()
    both = [name for name in own if name in weights]
    sizes = {name: tuple(getattr(weights[name], "shape", ())) for name in both}
    lists = {
        "missing are": [name for name in own if name not in weights],
        "unknown are": [name for name in weights if name not in own],
        "of another shape are": [
            f"{name} {sizes[name]} for {tuple(own[name].shape)}"
            for name in both
            if isinstance(own[name], Tensor) and sizes[name] != own[name].shape
        ],
    }
    told = "; ".join(f"{what} {_some(names)}" for what, names in lists.items() if names)
    text = (
        f"do not fit {type(model).__name__}: {told}. Make the model with the class and the options "
        "that it was trained with."
    )
    first, *others = {name.partition(".")[0] for name in weights} or {""}
    if not others and not both:
        text += (
            f" All entries begin with {first + '.'!r}: they are of a module that holds the "
            f"network as {first!r}; name that module's class."
        )
    return text


def _some(names: list[str]) -> str:
    rest = len(names) - 3
    return ", ".join(names[:3]) + (f" and {rest} more" if rest > 0 else "")
