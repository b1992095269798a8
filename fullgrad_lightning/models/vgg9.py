"""vgg9: the paper's VGG with 9 layers, for images of 32×32."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from fullgrad_lightning.utilities.checks import check_int

# Channels in multiples of the first layer's; "pool" halves the resolution.
_LAYERS = (1, "pool", 2, "pool", 4, 4, "pool", 8, 8, "pool", 8, 8, "pool")


def vgg9(num_classes: int = 100, in_channels: int = 3, *, width: int = 64) -> nn.Sequential:
    """Builds a VGG with 8 convolutions and 1 linear layer, batch norm after each convolution.

    conv 64, pool, conv 128, pool, conv 256, conv 256, pool, conv 512, conv 512, pool, conv 512,
    conv 512, pool, mean over space, linear. Convolutions are 3×3 with padding 1 and without bias
    (batch norm takes its place), each followed by batch norm and ReLU; pools are 2×2 maxima that
    round up, so that 28×28 and smaller images pass too. This is VGG-11 (Simonyan & Zisserman 2015)
    with one linear layer in place of three, as the authors of FullGrad used it on CIFAR-100
    (Srinivas & Fleuret 2019, §5.2).

    Args:
        num_classes: K.
        in_channels: C of the images (N, C, H, W).
        width: Channels of the first convolution; all others scale with it. The paper has 64.

    Returns:
        A network (N, C, H, W) -> (N, K), its layers named ``conv1``, ``bn1``, ``relu1``, ….

    Raises:
        ValueError: An argument below 1.

    Examples:
        >>> import torch
        >>> vgg9(10, 1, width=8)(torch.rand(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """
    check_int("num_classes", num_classes, 1)
    check_int("in_channels", in_channels, 1)
    check_int("width", width, 1)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels, convolutions, pools = in_channels, 0, 0
    for layer in _LAYERS:
        if isinstance(layer, str):
            pools += 1
            layers[f"pool{pools}"] = nn.MaxPool2d(2, ceil_mode=True)
            continue
        convolutions += 1
        out = layer * width
        layers[f"conv{convolutions}"] = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        layers[f"bn{convolutions}"] = nn.BatchNorm2d(out)
        layers[f"relu{convolutions}"] = nn.ReLU()
        channels = out
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(channels, num_classes)
    network = nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
