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
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor, nn
from torchvision import models
from torchvision.transforms import v2

import fullgrad_lightning as fgl

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
METHODS = (
    "input_gradient", "integrated_gradients", "smoothgrad", "gradcam", "smooth_fullgrad",
    "fullgrad",
)  # fmt: skip
INCHES, DPI = 1.3, 130  # side of a picture, and its resolution


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", type=Path, help="image files, one row each")
    parser.add_argument(
        "--model",
        default="resnet50",
        help="a name that torchvision.models knows, or package.module:function, or "
        "path/to/file.py:function, where the function returns the network",
    )
    parser.add_argument("--weights", help="torchvision weights, e.g. DEFAULT, or a checkpoint file")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=fgl.saliency_methods())
    parser.add_argument("--layers", action="store_true", help="draw the layers of the first image")
    parser.add_argument("--n-layers", type=int, default=9, help="how many of them")
    parser.add_argument("--resize", type=int, default=256, help="the shorter side, before the crop")
    parser.add_argument("--size", type=int, default=224, help="side of the central crop")
    parser.add_argument("--mean", nargs=3, type=float, default=MEAN, help="of values in 0…1")
    parser.add_argument("--std", nargs=3, type=float, default=STD, help="likewise")
    parser.add_argument("--output", type=Path, default=Path("outputs"), help="folder")
    options = parser.parse_args(argv)

    model = load_model(options.model, options.weights).eval()
    pictures = torch.stack([read(path, options.resize, options.size) for path in options.images])
    x = v2.functional.normalize(pictures, options.mean, options.std)
    options.output.mkdir(parents=True, exist_ok=True)

    columns = {title(name): saliency(name, model, x) for name in options.methods}
    figure = comparison(pictures, columns, answers(model, x))
    save(figure, options.output / "compare_methods.png")
    if options.layers:
        figure = layers(pictures[0], layer_columns(model, x[:1], options.n_layers))
        save(figure, options.output / "layers.png")


def load_model(name: str, weights: str | None) -> nn.Module:
    """A network by name, with torchvision's weights of that name or those of a checkpoint."""
    is_file = weights is not None and Path(weights).is_file()
    if ":" in name:
        model = factory(name)()
        if weights is not None and not is_file:
            raise SystemExit(f"--weights must be a checkpoint file for {name}; {weights} is none.")
    else:
        model = models.get_model(name, weights=None if is_file else weights)
    if is_file:
        model.load_state_dict(read_checkpoint(Path(str(weights))))
    return model


def factory(name: str) -> Callable[[], nn.Module]:
    """The function of ``package.module:function`` or ``path/to/file.py:function``."""
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
    """The state dict of a file, also as trainers wrap it, without prefixes of all its keys."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    for prefix in ("module.", "model."):
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def read(path: Path, resize: int, size: int) -> Tensor:
    """An image as the network is to see it, (3, size, size) in 0…1."""
    with Image.open(path) as stored:
        upright = ImageOps.exif_transpose(stored).convert("RGB")
    crop = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size)])
    return v2.functional.to_dtype(
        crop(v2.functional.pil_to_tensor(upright)), torch.float32, scale=True
    )


def answers(model: nn.Module, x: Tensor) -> list[str]:
    """The predicted class of each image and its probability, as text."""
    with torch.no_grad():
        probabilities = model(x).softmax(1)
    confidence, index = probabilities.max(1)
    names = [f"class {i}" for i in range(probabilities.shape[1])]
    if len(names) == 1000:  # ImageNet, as for all of torchvision's weights
        names = models.get_weight("ResNet18_Weights.DEFAULT").meta["categories"]
    return [f"{names[i]}\n{p:.0%}" for p, i in zip(confidence, index, strict=True)]


def saliency(name: str, model: nn.Module, x: Tensor) -> Tensor:
    """Maps of all images, (N, 1, H, W), made one by one to bound the memory."""
    method = fgl.saliency_method(name)
    return torch.cat([method(model, one) for one in x.split(1)])


def layer_columns(model: nn.Module, x: Tensor, n_layers: int) -> dict[str, Tensor]:
    """Maps (H, W) of the input, of ``n_layers`` sites evenly chosen, and of all, for one image."""
    maps = fgl.layer_maps(model, x, postprocess="paper", resolution="image")
    names = list(maps)
    picked = torch.linspace(0, len(names) - 1, min(n_layers, len(names))).round().int().tolist()
    found = {"Input × gradient": fgl.saliency_method("input_x_gradient")(model, x)}
    found |= {shortened(names[i]): maps[names[i]] for i in picked}
    found["All: FullGrad"] = fgl.FullGrad()(model, x)
    return {name: values[0, 0] for name, values in found.items()}


def shortened(name: str, most: int = 19) -> str:
    """The end of the name of a site, as long as fits above a picture."""
    return name if len(name) <= most else "…" + name[1 - most :]


def title(name: str) -> str:
    """The name of a method as a heading."""
    known = {"gradcam": "Grad-CAM", "vargrad": "VarGrad", "smoothgrad": "SmoothGrad"}
    known |= {"fullgrad": "FullGrad", "simple_fullgrad": "Simple\nFullGrad"}
    known |= {"smooth_fullgrad": "Smooth\nFullGrad"}
    return known.get(name, name.replace("_", "\n", 1).replace("_", " ").capitalize())


def comparison(pictures: Tensor, columns: dict[str, Tensor], labels: Sequence[str]) -> Figure:
    """Figure 3: images in rows, methods in columns, the answer of the network at the left."""
    figure, grid = panels(len(pictures), 1 + len(columns))
    for row, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        grid[row][0].imshow(picture.permute(1, 2, 0).numpy())
        grid[row][0].set_ylabel(label, fontsize=8)
        for axes, maps in zip(grid[row][1:], columns.values(), strict=True):
            axes.imshow(overlay(picture, maps[row, 0]))
    for axes, heading in zip(grid[0], ["Image", *columns], strict=True):
        axes.set_title(heading, fontsize=9, pad=3)
    return figure


def layers(picture: Tensor, columns: dict[str, Tensor]) -> Figure:
    """Figure 1: the image, then a map for each entry."""
    per_row = -(-(1 + len(columns)) // 2)
    figure, grid = panels(2, per_row)
    places = [axes for row in grid for axes in row]
    places[0].imshow(picture.permute(1, 2, 0).numpy())
    places[0].set_title("Image", fontsize=8, pad=3)
    for axes, (name, values) in zip(places[1:], columns.items(), strict=False):
        axes.imshow(overlay(picture, values))
        axes.set_title(name, fontsize=8, pad=3)
    for axes in places[1 + len(columns) :]:
        axes.remove()
    return figure


def panels(rows: int, columns: int) -> tuple[Figure, list[list[Axes]]]:
    """Close-standing pictures without axes."""
    figure = Figure(figsize=(INCHES * columns + 0.4, INCHES * rows + 0.3), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = figure.subplots(rows, columns, squeeze=False).tolist()
    for axes in (axes for row in grid for axes in row):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure, grid


def overlay(picture: Tensor, values: Tensor) -> Tensor:
    """A map (H, W) as heat over the grey picture (3, H, W): (H, W, 3) in 0…1."""
    low, high = values.min(), values.flatten().quantile(0.995)
    heat = ((values - low) / (high - low).clamp(min=1e-30)).clamp(0, 1)
    colour = torch.from_numpy(colormaps["inferno"](heat.numpy())[..., :3]).float()
    grey = picture.mean(0)[..., None].expand(-1, -1, 3)
    return (0.3 * grey + 0.85 * colour).clamp(0, 1)


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG and tells where. 256 dithered colours take a third of the bytes of all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    full = Image.open(drawn).convert("RGB")
    fewer = full.resize((full.width // 2, full.height // 2), Image.Resampling.NEAREST)  # is quick
    palette = fewer.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=5)
    full.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(path)


if __name__ == "__main__":
    main()
