"""Time to rank, select and replace pixels, per image.

    python -m benchmarks.fills [--repeats 15]

One image at a time in one thread, as in the workers of a DataLoader. The pixels are random (many
small holes) or the middle of the image (one large hole, the worst case of `noisy_linear`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from fullgrad_lightning.masking.fills import fill_pixels
from fullgrad_lightning.masking.options import FILLS, Fill
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.selection import PixelSelection

SIZES = ((1, 28), (3, 32), (3, 64), (3, 224))
FRACTIONS = (0.1, 0.5, 0.9)


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Returns the median of the repeats, each long enough for the clock, after a warm-up."""
    run()
    start = time.perf_counter()
    run()
    calls = max(1, int(2e-3 / (time.perf_counter() - start)))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            run()
        times.append((time.perf_counter() - start) / calls)
    return 1e3 * statistics.median(times)


def maps(side: int) -> dict[str, Tensor]:
    """Saliency (1, side, side): random, and largest in the middle."""
    line = torch.linspace(-1, 1, side)
    return {
        "random": torch.rand(1, side, side, generator=torch.Generator().manual_seed(0)),
        "middle": -(line[:, None].square() + line.square())[None],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print("| image | removed | rank | select |" + "".join(f" {fill} |" for fill in FILLS))
    print("|---|---|---|---|" + "---|" * len(FILLS))
    for channels, side in SIZES:
        image, mean = torch.rand(1, channels, side, side), torch.full((channels,), 0.5)
        for name, saliency in maps(side).items():
            ranks = rank_pixels(saliency, [0])
            ranking = milliseconds(lambda m=saliency: rank_pixels(m, [0]), repeats)
            for fraction in FRACTIONS:
                select = PixelSelection(fraction=fraction)
                replaced = select.replaced(ranks)
                times = [ranking, milliseconds(lambda s=select, r=ranks: s.replaced(r), repeats)]
                for fill in FILLS:

                    def run(x: Tensor = image, m: Tensor = replaced, fill: Fill = fill) -> Tensor:
                        return fill_pixels(x, m, fill, mean=mean, sample_ids=[0])  # noqa: B023

                    times.append(milliseconds(run, repeats))
                row = " | ".join(f"{value:.3g}" for value in times)
                print(f"| {channels}×{side}² | {fraction:.0%} {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
