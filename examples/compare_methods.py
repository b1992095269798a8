"""Draws saliency methods side by side (Figure 3 of the paper) and a network's layers (Figure 1).

    python examples/compare_methods.py photo.jpg other.jpg --model resnet50 --weights DEFAULT
    python examples/compare_methods.py photo.jpg --layers --weights checkpoint.pt \\
        --model examples/mobilenet_v1.py:mobilenet_v1_025

Writes ``compare_methods.png``, and ``layers.png`` of the first image with ``--layers``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import v2

import fullgrad_lightning as fgl
from fullgrad_lightning.utilities.indices import evenly_spaced_indices
from fullgrad_lightning.visualization import display_name, layers_grid, saliency_grid, save_png

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
METHODS = (
    "input_gradient", "integrated_gradients", "smoothgrad", "gradcam", "smooth_fullgrad",
    "fullgrad",
)  # fmt: skip
PANEL = 140  # width of a picture and its gutter, in pixels


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", type=Path, help="image files, one row each")
    parser.add_argument(
        "--model",
        default="resnet50",
        help="a name in torchvision.models, or package.module:function, or "
        "path/to/file.py:function, where the function returns the network",
    )
    parser.add_argument("--weights", help="torchvision weights, e.g. DEFAULT, or a checkpoint file")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=fgl.saliency_methods())
    parser.add_argument("--layers", action="store_true", help="draw the layers of the first image")
    parser.add_argument("--n-layers", type=int, default=9, help="number of layers drawn")
    parser.add_argument("--resize", type=int, default=256, help="the shorter side, before the crop")
    parser.add_argument("--size", type=int, default=224, help="side of the central crop")
    parser.add_argument("--mean", nargs=3, type=float, default=MEAN, help="mean of values in 0…1")
    parser.add_argument(
        "--std", nargs=3, type=float, default=STD, help="standard deviation of values in 0…1"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs"), help="folder")
    options = parser.parse_args(argv)

    model = load_model(options.model, options.weights).eval()
    pictures = torch.stack([read(path, options.resize, options.size) for path in options.images])
    x = v2.functional.normalize(pictures, options.mean, options.std)

    columns = {name: compute_maps(name, model, x) for name in options.methods}
    titles = describe_predictions(model, x)
    figure = saliency_grid(pictures, columns, titles, width=PANEL * (1 + len(columns)))
    save(figure, options.output / "compare_methods.png")
    if options.layers:
        maps = compute_layer_maps(model, x[:1], options.n_layers)
        per_row = -(-(1 + len(maps)) // 2)
        figure = layers_grid(pictures[0], maps, per_row=per_row, width=PANEL * per_row)
        save(figure, options.output / "layers.png")


def load_model(name: str, weights: str | None) -> nn.Module:
    """Builds a network by name, with torchvision's weights of a name or those of a checkpoint."""
    is_file = weights is not None and Path(weights).is_file()
    if ":" in name:
        model = factory(name)()
        if weights is not None and not is_file:
            raise SystemExit(f"--weights must be a checkpoint file for {name}; {weights} is not.")
    else:
        model = models.get_model(name, weights=None if is_file else weights)
    if is_file:
        model.load_state_dict(read_checkpoint(Path(str(weights))))
    return model


def factory(name: str) -> Callable[[], nn.Module]:
    """Imports the function of ``package.module:function`` or ``path/to/file.py:function``."""
    source, function = name.rsplit(":", 1)
    if source.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(source).stem, source)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(source)
    return getattr(module, function)


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Reads the state dict of a file, also as trainers wrap it, without prefixes of all keys."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    for prefix in ("module.", "model."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def read(path: Path, resize: int, size: int) -> Tensor:
    """Reads an image, resized and cropped as the network's input, (3, size, size) in 0…1."""
    with Image.open(path) as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    crop = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size)])
    return v2.functional.to_dtype(
        crop(v2.functional.pil_to_tensor(upright)), torch.float32, scale=True
    )


def describe_predictions(model: nn.Module, x: Tensor) -> list[str]:
    """Returns the predicted class of each image and its probability, as text."""
    with torch.no_grad():
        probabilities = model(x).softmax(1)
    confidence, index = probabilities.max(1)
    names = [f"class {i}" for i in range(probabilities.shape[1])]
    if len(names) == 1000:  # ImageNet, as for all of torchvision's weights
        names = models.get_weight("ResNet18_Weights.DEFAULT").meta["categories"]
    return [f"{names[i]}, {p:.0%}" for p, i in zip(confidence, index, strict=True)]


def compute_maps(name: str, model: nn.Module, x: Tensor) -> Tensor:
    """Computes the maps of all images, (N, 1, H, W), one by one to bound the memory."""
    method = fgl.saliency_method(name)
    return torch.cat([method(model, image) for image in x.split(1)])


def compute_layer_maps(model: nn.Module, x: Tensor, n_layers: int) -> dict[str, Tensor]:
    """Computes maps (1, 1, H, W) of the input, of ``n_layers`` sites evenly chosen, and of all."""
    maps = fgl.layer_maps(model, x, postprocess="paper")
    sites = list(maps)
    indices = evenly_spaced_indices(len(sites), n_layers)
    return {
        display_name("input_x_gradient"): fgl.saliency_method("input_x_gradient")(model, x),
        **{sites[i]: maps[sites[i]] for i in indices},
        "All: FullGrad": fgl.FullGrad()(model, x),
    }


def save(picture: Tensor, path: Path) -> None:
    """Writes a PNG and prints its path."""
    save_png(picture, path)
    print(path)


if __name__ == "__main__":
    main()
