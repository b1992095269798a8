"""Completeness of the decomposition on every torchvision classifier, in float64 and float32.

    python -m benchmarks.completeness [--models resnet18 vit_b_16] [--write docs/completeness.md]
                                      [--jobs 2]

Weights, statistics, heads, layer scales and class tokens are redrawn to order one: with default
initialisations whole rows would be vacuous. Exits with 1 if a row misses the bar.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

import fullgrad_lightning as fgl
from tests.decomposition.redrawn import redraw

KINDS = ("parameter", "normalization", "nonlinearity", "product", "constant", "not_localized")
BARS = {torch.float64: 1e-12, torch.float32: 1e-4}
SAMPLES = 2


@dataclass(frozen=True)
class Row:
    model: str
    size: int
    residual: dict[torch.dtype, float]
    over_output: dict[torch.dtype, float]
    sites: dict[str, int]
    shares: dict[str, float]
    slowdown: float

    @property
    def passes(self) -> bool:
        exact = all(self.residual[dtype] <= bar for dtype, bar in BARS.items())
        return exact and self.sites["not_localized"] == 0

    def cells(self) -> list[str]:
        numbers = [f"{self.residual[d]:.1e} / {self.over_output[d]:.1e}" for d in BARS]
        sites = [str(self.sites[kind]) for kind in KINDS]
        shares = [f"{100 * self.shares.get(kind, 0.0):.1f}" for kind in ("input", *KINDS)]
        mark = "yes" if self.passes else "**NO**"
        return [self.model, str(self.size), *numbers, mark, *sites, *shares, f"{self.slowdown:.2f}"]


HEADER = [
    "model", "size", "float64: residual / over f", "float32: residual / over f", "exact",
    *(f"sites: {kind}" for kind in KINDS),
    *(f"% {kind}" for kind in ("input", *KINDS)),
    "× bare pass",
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    every = torchvision.models.list_models(module=torchvision.models)
    parser.add_argument("--models", nargs="+", default=every)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    options = parser.parse_args()
    rows = []
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    with multiprocessing.get_context("spawn").Pool(
        options.jobs, torch.set_num_threads, (threads,)
    ) as pool:
        for row in pool.imap(measure, options.models):
            rows.append(row)
            print(" | ".join(row.cells()), flush=True)
    failed = [row.model for row in rows if not row.passes]
    print(f"{len(rows)} models, {len(failed)} beyond the bar {failed}")
    if options.write:
        options.write.write_text(report(rows, options.jobs, threads), encoding="utf-8")
    return 1 if failed else 0


def measure(name: str) -> Row:
    size = image_size(name)
    options: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    elif name.startswith("vit_"):
        options["image_size"] = size
    model = torchvision.models.get_model(name, weights=None, **options)
    model = redraw(model)
    x = torch.randn(SAMPLES, 3, size, size, generator=torch.Generator().manual_seed(0))
    residual, over_output = {}, {}
    for dtype in BARS:
        budget = fgl.attribution_budget(model.to(dtype), x.to(dtype))
        residual[dtype] = float(budget.relative_residual.max())
        over_output[dtype] = float(budget.residual_over_output.max())
    sites = {kind: sum(s.kind == kind for s in budget.sites.values()) for kind in KINDS}
    shares = {kind: float(share.mean()) for kind, share in budget.share_by_kind().items()}
    return Row(name, size, residual, over_output, sites, shares, slowdown(model, x))


def image_size(name: str) -> int:
    """Image size of a model: 96, or its minimum; exactness does not depend on it."""
    return {"inception_v3": 128, "maxvit_t": 224, "vit_h_14": 112}.get(name, 96)


def slowdown(model: nn.Module, x: Tensor, pairs: int = 3) -> float:
    """Median over pairs of the time of the budget to that of the bare pass, float32, frozen."""
    model.eval().requires_grad_(False)

    def bare() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf).amax(1).sum(), leaf)

    def seconds(run: object) -> float:
        start = time.perf_counter()
        run()  # type: ignore[operator]
        return time.perf_counter() - start

    bare()
    return statistics.median(
        seconds(lambda: fgl.attribution_budget(model, x)) / seconds(bare) for _ in range(pairs)
    )


def report(rows: list[Row], jobs: int, threads: int) -> str:
    """The page of the documentation."""
    worst = {dtype: max(row.residual[dtype] for row in rows) for dtype in BARS}
    table = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    lines = "\n".join("| " + " | ".join(cells) + " |" for cells in table)
    return f"""# Completeness

f(x) = ⟨∇ₓf, x⟩ + Σ f^b (equation 1) on every classifier of torchvision, with all parameters and
batch-norm statistics redrawn to order one. Made by

    python -m benchmarks.completeness --jobs {jobs} --write docs/completeness.md

on {datetime.date.today()}: {len(rows)} models, {SAMPLES} random images each, torch
{torch.__version__.split("+")[0]}, torchvision {torchvision.__version__.split("+")[0]}, Python
{platform.python_version()}, {jobs} models at a time, {threads} thread(s) of an x86-64 CPU for each.
{sum(row.passes for row in rows)} of {len(rows)} rows pass; the largest relative residual is
{worst[torch.float64]:.1e} in float64 and {worst[torch.float32]:.1e} in float32 (bars: 1e-12, 1e-4).

*residual* is |f − input term − Σ bias terms| / (|input term| + Σ |bias terms|); *over f* is the
same divided by |f| instead, which grows where large terms cancel; the larger of the two samples is
shown. *sites* counts the places that contribute a bias, by kind; *%* is the share of |input term| +
Σ |bias terms| that the input and each kind carry, float32. *× bare pass* is the time of
`attribution_budget` as a multiple of a bare forward and input-gradient pass with frozen parameters
(median of three pairs, float32; at this image size a good part of it is overhead per call).

{lines}
"""


if __name__ == "__main__":
    sys.exit(main())
