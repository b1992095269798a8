"""Networks by name: vgg9, and every classifier of torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import torchvision
from torch import nn

from fullgrad_lightning.models.vgg9 import vgg9
from fullgrad_lightning.utilities.checks import check_int


def model_names() -> tuple[str, ...]:
    """Returns the names that ``build_model`` accepts."""
    return ("vgg9", *torchvision.models.list_models(module=torchvision.models))


def build_model(
    name: str,
    num_classes: int,
    in_channels: int = 3,
    weights: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Builds a classifier (N, C, H, W) -> (N, K).

    Args:
        name: One of ``model_names()``.
        num_classes: K.
        in_channels: C. Other than 3: torchvision's first convolution is replaced by a new one.
        weights: A name of torchvision's weights, as ``"DEFAULT"`` or ``"IMAGENET1K_V1"``,
            downloaded unless torch's cache has them; ``None``: random. The last layer is replaced
            by a new one where they have another number of classes.
        options: Options of the network, as ``{"width": 16}`` for vgg9 or ``{"image_size": 32}`` for
            a vision transformer.

    Raises:
        ValueError: No such model or weights, or a number below 1.
        TypeError: An option that the model does not have.
    """
    if name not in model_names():
        near = get_close_matches(str(name), model_names(), 3, 0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(
            f"No model {name!r}.{hint} There are vgg9 and the classifiers of torchvision: "
            f"{', '.join(model_names())}."
        )
    check_int("num_classes", num_classes, 1)
    check_int("in_channels", in_channels, 1)
    options = dict(options or {})
    if name == "vgg9":
        if weights is not None:
            raise ValueError(f"vgg9 has no weights to load, got weights={weights!r}. Pass None.")
        return vgg9(num_classes, in_channels, **options)
    if weights is None:
        network = _untrained(name, num_classes, options)
    else:
        network = _trained(name, num_classes, weights, options)
    if in_channels != 3:
        _replace(network, nn.Conv2d, "in_channels", in_channels)
        if hasattr(network, "transform_input"):
            network.transform_input = False  # type: ignore[assignment]  # of RGB
    return network


def _untrained(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    if name in ("googlenet", "inception_v3"):
        # Auxiliary heads would make the output in training another than that in evaluation; without
        # an explicit init_weights these networks warn.
        options = {"aux_logits": False, "init_weights": True, **options}
    network: nn.Module = torchvision.models.get_model(name, num_classes=num_classes, **options)
    return network


def _trained(name: str, num_classes: int, weights: str, options: dict[str, Any]) -> nn.Module:
    choices = torchvision.models.get_model_weights(name)
    member = weights.removeprefix(choices.__name__ + ".")
    if member not in choices.__members__:
        raise ValueError(
            f"{name} has no weights {weights!r}; it has {', '.join(choices.__members__)}."
        )
    network: nn.Module = torchvision.models.get_model(name, weights=choices[member], **options)
    if name in ("googlenet", "inception_v3"):
        network.aux_logits = False  # type: ignore[assignment]
        for head in ("aux1", "aux2", "AuxLogits"):
            if hasattr(network, head):
                setattr(network, head, None)
    if len(choices[member].meta["categories"]) != num_classes:
        last = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
        attribute = "out_features" if isinstance(last, nn.Linear) else "out_channels"
        _replace(network, type(last), attribute, num_classes, last=True)
    return network


def _replace(
    network: nn.Module, kind: type[nn.Module], attribute: str, value: int, last: bool = False
) -> None:
    """Replaces the first or last layer of a kind by a new one with one other size."""
    names = [n for n, m in network.named_modules() if isinstance(m, kind)]
    name = names[-1 if last else 0]
    old = network.get_submodule(name)
    shared = ("in_features", "out_features") if kind is nn.Linear else (
        "in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
        "padding_mode",
    )  # fmt: skip
    sizes = {n: getattr(old, n) for n in shared} | {attribute: value}
    network.set_submodule(name, kind(**sizes, bias=old.bias is not None))
