"""Ways to reduce one bias-gradient under ψ = "paper", timed against the one that FullGrad uses.

    python -m benchmarks.reductions [--repeats 9]

Each reduces (N, C, P) to (N, 1, P): Σ_c (|g_c| − min)/(max − min). ``compiled`` is one kernel of
torch.compile's, which needs a C++ compiler on the user's machine and some seconds at first use.
"""

from __future__ import annotations

import argparse
import functools
import statistics

import torch
from torch import Tensor

from benchmarks.saliency import seconds
from fullgrad_lightning.saliency.postprocess import PRESETS
from fullgrad_lightning.saliency.tensor_chunks import WorkBuffer

SHAPES = (
    (8, 32, 112, 112), (8, 96, 112, 112), (8, 144, 56, 56), (8, 384, 14, 14), (8, 1280, 7, 7),
    (8, 64, 224, 224),
)  # fmt: skip


def literal(values: Tensor) -> Tensor:
    """Seven passes over memory, each into memory of its own."""
    values = values.flatten(2).abs()
    low, high = values.amin(2, keepdim=True), values.amax(2, keepdim=True)
    extent = high - low
    weight = torch.where(extent <= 64 * torch.finfo(extent.dtype).eps * high, 0, 1 / extent)
    return (weight * (values - low)).sum(1, keepdim=True)


def one_pass_extremes(values: Tensor) -> Tensor:
    """Minimum and maximum by ``torch.aminmax`` together."""
    values = values.flatten(2).abs()
    low, high = torch.aminmax(values, dim=2, keepdim=True)
    weight = (high - low).reciprocal_()
    return torch.bmm(weight.mT, values.sub_(low))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    scratch = WorkBuffer()
    ways = {
        "fullgrad": lambda g: PRESETS["paper"].reduce(g, None, scratch).flatten(2),
        "literal": literal,
        "aminmax": one_pass_extremes,
        "compiled": torch.compile(literal, dynamic=True),
    }
    print("| shape | fullgrad, ms |" + "".join(f" {way}, × |" for way in list(ways)[1:]))
    print("|---|---|" + "---|" * (len(ways) - 1))
    for shape in SHAPES:
        gradient = torch.randn(shape)
        for way in ways.values():  # the same map, and warm
            torch.testing.assert_close(way(gradient), literal(gradient), rtol=1e-3, atol=1e-4)
        runs = [
            [seconds(functools.partial(way, gradient), "cpu") for way in ways.values()]
            for _ in range(repeats)
        ]
        ratios = [statistics.median(run[i] / run[0] for run in runs) for i in range(1, len(ways))]
        ours = 1e3 * statistics.median(run[0] for run in runs)
        print(f"| {shape} | {ours:.2f} |" + "".join(f" {r:.2f} |" for r in ratios), flush=True)


if __name__ == "__main__":
    main()
