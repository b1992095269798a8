"""Time and memory of FullGrad against a bare pass, and against the package grad-cam.

    python -m benchmarks.saliency [--device cpu] [--batch 8] [--models resnet18 vit_b_16]
                                  [--repeats 7] [--no-memory] [--no-grad-cam]
                                  [--write docs/speed.md]

Networks are untrained, frozen and in eval mode, 224×224, float32. Each ratio is the median over
pairs that follow each other at once (A B A B), so that a machine that slows down slows both.
grad-cam (``pip install fullgrad-lightning[bench]``) is slow and runs twice only.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

import fullgrad_lightning as fgl
from benchmarks import memory
from benchmarks.documentation import machine, versions, write_section
from fullgrad_lightning.utilities.files import atomic_write

MODELS = (
    "vgg16_bn", "resnet18", "resnet50", "densenet121", "mobilenet_v2", "efficientnet_b0",
    "convnext_tiny", "vit_b_16",
)  # fmt: skip
GRAD_CAM_SUPPORTS = MODELS[:6]
SITES = ("bias", "all")
DEVICES = ("cpu", "cuda")
SIZE = 224
GRAD_CAM_RUNS = 2
MEMORY_RUNS = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model. Times in seconds; by ``sites`` where a dictionary."""

    model: str
    bare: float
    fullgrad: dict[str, float]
    ratio: dict[str, float]
    memory_ratio: dict[str, float] | None
    grad_cam: float | None
    speed_up: float | None  # over grad-cam, with sites="bias" as it takes them

    def cells(self) -> list[str]:
        cells = [self.model, f"{1e3 * self.bare:.0f}"]
        for sites in SITES:
            cells += [f"{1e3 * self.fullgrad[sites]:.0f}", f"{self.ratio[sites]:.2f}"]
            cells += [f"{self.memory_ratio[sites]:.2f}" if self.memory_ratio else "–"]
        cells += [f"{1e3 * self.grad_cam:.0f}" if self.grad_cam else "–"]
        return [*cells, f"{self.speed_up:.0f}" if self.speed_up else "–"]


HEADER = [
    "model", "bare pass, ms",
    *(cell for s in SITES for cell in (f'`sites="{s}"`, ms', "× bare", "× memory")),
    "grad-cam, ms", "speed-up",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", choices=DEVICES)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write", type=Path, help="also write the table to its place on this page")
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--no-grad-cam", action="store_true")
    options = parser.parse_args()
    rows = []
    for name in options.models:
        rows.append(measure(name, options))
        print(" | ".join(rows[-1].cells()), flush=True)
    section = report(rows, options)
    print(f"\n{section}")
    if options.write:
        if not options.write.exists():
            atomic_write(options.write, PAGE)
        write_section(options.write, options.device, section)


def measure(name: str, options: argparse.Namespace) -> Row:
    """Times one model, then its memory in processes of their own."""
    device = options.device
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None)
    model = model.eval().requires_grad_(False).to(device)
    x = torch.rand(options.batch, 3, SIZE, SIZE, device=device)
    methods = {sites: fgl.FullGrad(sites=sites) for sites in SITES}

    def bare() -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf).amax(1).sum(), leaf)

    def fullgrad(sites: str) -> Callable[[], object]:
        return lambda: methods[sites](model, x)

    pairs = {s: timed_pairs(bare, fullgrad(s), options.repeats, device) for s in SITES}
    grad_cam, speed_up = None, None
    if name in GRAD_CAM_SUPPORTS and not options.no_grad_cam:
        with_grad_cam = grad_cam_pairs(model, x, fullgrad("bias"), device)
        grad_cam = statistics.median(b for _, b in with_grad_cam)
        speed_up = statistics.median(b / a for a, b in with_grad_cam)
    return Row(
        model=name,
        bare=statistics.median(a for s in SITES for a, _ in pairs[s]),
        fullgrad={s: statistics.median(b for _, b in pairs[s]) for s in SITES},
        ratio={s: statistics.median(b / a for a, b in pairs[s]) for s in SITES},
        memory_ratio=None if options.no_memory else memory_ratios(name, options.batch, device),
        grad_cam=grad_cam,
        speed_up=speed_up,
    )


def timed_pairs(
    a: Callable[[], object], b: Callable[[], object], repeats: int, device: str
) -> list[tuple[float, float]]:
    """Seconds of A and B, run in turn after a warm-up of each."""
    for run in (a, b):
        seconds(run, device)
    return [(seconds(a, device), seconds(b, device)) for _ in range(repeats)]


def seconds(run: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def grad_cam_pairs(
    model: nn.Module, x: Tensor, ours: Callable[[], object], device: str
) -> list[tuple[float, float]]:
    """Seconds of our FullGrad and of grad-cam's, run in turn; it is warmed up on a small image."""
    from pytorch_grad_cam import FullGrad

    with FullGrad(model, []) as theirs:
        theirs(x[:1, :, :64, :64], None)
        return [
            (seconds(ours, device), seconds(lambda: theirs(x, None), device))
            for _ in range(GRAD_CAM_RUNS)
        ]


def memory_ratios(name: str, batch: int, device: str) -> dict[str, float]:
    """Peaks beyond the model, as multiples of that of the bare pass."""
    cases = ["bare", *(f"fullgrad_{sites}" for sites in SITES)]
    beyond = [memory.peaks(c, name, SIZE, batch, device, repeats=MEMORY_RUNS)[1] for c in cases]
    return dict(zip(SITES, (peak / beyond[0] for peak in beyond[1:]), strict=True))


def report(rows: list[Row], options: argparse.Namespace) -> str:
    """The table, with the machine and the date."""
    table = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    table.append(summary("geometric mean", rows, statistics.geometric_mean))
    table.append(summary("worst", rows, max))
    lines = "\n".join("| " + " | ".join(cells) + " |" for cells in table)
    return f"""Batch of {options.batch}, {machine(options.device)}, {versions()},
{datetime.date.today()}; medians of {options.repeats} pairs.

{lines}"""


def summary(title: str, rows: list[Row], joined: Callable[[list[float]], float]) -> list[str]:
    """A last row of the table: the ratios of all rows, aggregated."""
    cells = [title, ""]
    for sites in SITES:
        memories = [row.memory_ratio[sites] for row in rows if row.memory_ratio]
        cells += ["", f"{joined([row.ratio[sites] for row in rows]):.2f}"]
        cells += [f"{joined(memories):.2f}" if memories else "–"]
    speed_ups = [row.speed_up for row in rows if row.speed_up]
    joined = min if joined is max else joined  # the worst speed-up is the least
    return [*cells, "", f"{joined(speed_ups):.0f}" if speed_ups else "–"]


PAGE = """# Speed and memory

What FullGrad costs beyond what it cannot do without: one forward and one input-gradient pass of the
same frozen network. Made by

    python -m benchmarks.saliency --write docs/speed.md

Untrained networks, 224×224, float32. *× bare* is the time as a multiple of the bare pass: the
median of pairs that ran in turn. *× memory* is the peak beyond the model, each in a process of its
own, as a multiple of that of the bare pass. *grad-cam* is the FullGrad of the package `grad-cam`,
on the same batch, and *speed-up* how many times longer it takes than ours with `sites="bias"`,
which are the sites that it takes; on transformers and layer norms it has no bias to look at.

## CPU

<!-- cpu: begin -->
Not yet measured.
<!-- cpu: end -->

## GPU

<!-- cuda: begin -->
Not yet measured.
<!-- cuda: end -->

## What was tried

- Summing channels before upsampling, and upsampling once per resolution: what the released codes
  lack; they upsample every channel.
- Reused memory (`saliency/tensor_chunks.py`): the first touch of fresh memory costs more than the
  arithmetic. Cache-sized blocks (256 KiB) made a reduction ten times slower than the whole
  tensor at once, since each small call waits for threads.
- Not multiplying by a bias that is constant on its channel, where rescaling cancels its size.
- Closed forms for SiLU, GELU, ReLU6, hard-swish, layer norm and attention instead of forward-mode
  differentiation, and two global module hooks instead of a pair on each module.
- A compiled reduction, one kernel of `torch.compile` that reads each gradient once
  (`python -m benchmarks.reductions`): 0.33 … 0.92 of the time of ours on large maps, 5 % of
  MobileNetV2's total. Not taken: it needs a C++ compiler on the user's machine, and seconds at
  first use. One pass for minimum and maximum (`torch.aminmax`) takes 1.1 … 2.4 times ours.
"""


if __name__ == "__main__":
    main()
