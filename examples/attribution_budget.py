"""Prints where the answer of a torchvision network comes from, as a table.

    python examples/attribution_budget.py [--model resnet18] [--image photo.jpg] [--weights DEFAULT]

Without ``--image`` it draws one, without ``--weights`` the network is untrained: both need no
download. Each row is a kind of site: its signed sum, and its share of all that is summed up.
"""

from __future__ import annotations

import argparse

import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import v2

import fullgrad_lightning as fgl

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18", help="a name that torchvision.models knows")
    parser.add_argument("--weights", help="torchvision weights, e.g. DEFAULT (downloaded)")
    parser.add_argument("--image", help="an image file; one is drawn without it")
    parser.add_argument("--largest", type=int, default=8, help="how many single sites to show")
    options = parser.parse_args()

    torch.manual_seed(0)
    model = models.get_model(options.model, weights=options.weights)
    picture = Image.open(options.image).convert("RGB") if options.image else rings()
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(256, antialias=True),
            v2.CenterCrop(224),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    x = prepare(picture)[None]
    budget = fgl.attribution_budget(model, x)

    print(f"{options.model}: f(x) = {budget.output.item():.4g} (top class)\n")
    print(f"{'kind':16} {'sites':>5} {'sum':>10} {'share':>7}")
    shares, sums = budget.share_by_kind(), budget.by_kind()
    print(f"{'input':16} {'':5} {budget.input_term.item():10.3g} {shares['input'].item():7.1%}")
    for kind, total in sums.items():
        count = sum(site.kind == kind for site in budget.sites.values())
        print(f"{kind:16} {count:5} {total.item():10.3g} {shares[kind].item():7.1%}")

    print(f"\n{'largest sites':32} {'op':14} {'sum':>10}")
    largest = sorted(budget.bias_terms.items(), key=lambda item: -item[1].abs().item())
    for name, term in largest[: options.largest]:
        print(f"{name:32} {budget.sites[name].op:14} {term.item():10.3g}")

    print(
        f"\nf − input − Σ biases = {budget.residual.item():.1e}: "
        f"relative residual {budget.relative_residual.item():.1e}"
    )


def rings() -> torch.Tensor:
    """A picture of coloured rings, (3, 256, 256), uint8."""
    axis = torch.linspace(-1, 1, 256)
    radius = (axis[:, None] ** 2 + axis[None, :] ** 2).sqrt()
    waves = [torch.sin(12 * radius + phase) for phase in (0.0, 2.1, 4.2)]
    return ((torch.stack(waves) * 0.5 + 0.5) * 255).to(torch.uint8)


if __name__ == "__main__":
    main()
