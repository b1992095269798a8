"""ψ by task: class flipping, and pixel perturbation of clothes and photographs.

    python -m benchmarks.psi --data DIR --weights FILE [--write docs/psi.md]
                             [--picture docs/figures/class_flipping.png] [--seeds 0 1 2 3 4]
                             [--photographs 1000] [--networks runs/psi]

``DIR`` holds ``fashion-mnist/``, where torchvision's FashionMNIST finds its files, and
``imagenet-1000/``, photographs of 224×224 pixels in folders; ``FILE`` the weights of
``examples/mobilenet_v1.py``, trained on ImageNet. Networks for Fashion-MNIST are trained, one for
each seed (a minute and a half each), and kept in the folder of ``--networks``.
"""

from __future__ import annotations

import argparse
import datetime
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import fullgrad_lightning as fgl
from benchmarks import psi_tasks as tasks
from benchmarks.documentation import machine, versions, write_section
from benchmarks.psi_picture import draw
from fullgrad_lightning.evaluation.reports.statistics import estimate
from fullgrad_lightning.evaluation.reports.tables import as_markdown, format_estimate

Results = dict[str, tasks.Scores]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--write", type=Path, help="also write the tables to their place there")
    parser.add_argument("--picture", type=Path, help="draw flipped clothes to this file")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--networks", type=Path, default=Path("runs/psi"))
    options = parser.parse_args()
    start = time.perf_counter()
    data = fgl.FashionMNISTDataModule(options.data / "fashion-mnist", val_size=1000)
    images, labels = tasks.tested(data)
    flipped: Results = {}
    perturbed: Results = {}
    accuracies = []
    for seed in options.seeds:
        network = tasks.trained(data, seed, options.networks)
        right = (tasks.predicted(network, images) == labels).double().mean()
        accuracies.append(100 * float(right))
        if seed == options.seeds[0] and options.picture:
            draw(network, images, labels, data.class_names, options.picture)
        add(flipped, tasks.flipping(network, images, labels, data.class_names))
        add(perturbed, tasks.clothes_perturbed(network, images))
        print(f"seed {seed}: {accuracies[-1]:.1f} % right, {time.perf_counter() - start:.0f} s")
    folder = options.data / "imagenet-1000"
    add(perturbed, tasks.photographs_perturbed(folder, options.weights, options.photographs))
    section = report(flipped, perturbed, accuracies, time.perf_counter() - start)
    print(section)
    if options.write:
        write_section(options.write, "measured", section)


def add(results: Results, found: Mapping[str, tasks.Scores]) -> None:
    """Joins the numbers of one network, or task, to those of the others."""
    for name, scores in found.items():
        for column, values in scores.items():
            results.setdefault(name, {}).setdefault(column, []).extend(values)


def table(results: Results) -> str:
    """Means with 95 % intervals, and paired differences of the other ψ from ``paper``."""
    others = tasks.PSI[1:]
    rows = [["", *results, *(f"{name} − paper" for name in others)]]
    for column, papers in results["paper"].items():
        estimates = [estimate(scores[column]) for scores in results.values()]
        cells = [format_estimate(each, 1) for each in estimates]
        for name in others:
            pairs = zip(results[name][column], papers, strict=True)
            difference = estimate([value - paper for value, paper in pairs])
            cells.append(format_estimate(difference, 1, signed=True))
        rows.append([column, *(cell.replace("-", "−") for cell in cells)])
    return as_markdown(rows)


def report(flipped: Results, perturbed: Results, accuracies: list[float], seconds: float) -> str:
    """Both tables, with the machine and the date."""
    photographs = len(perturbed["paper"]["photographs, 10 %"])
    parts = [
        fill(
            "**Class flipping**: change of log-odds in nats when up to 20 % of the pixels are "
            "removed; more is better. *flipped*: how often the other class has more then. *black "
            "before*: the share of the removed pixels that were black already. *on clothes*: "
            "evidence on black pixels set to 0."
        ),
        table(flipped),
        fill(
            "**Pixel perturbation**: |Δf| / |f| in % when the least salient pixels are blackened; "
            "less is better. *in grey*: set to the mean colour instead."
        ),
        table(perturbed),
        fill(
            f"Means with 95 % Student-t intervals: for clothes over {len(accuracies)} networks "
            f"(vgg9 of width 8, {min(accuracies):.1f} … {max(accuracies):.1f} % right), with up to "
            f"{tasks.IMAGES} images of each pair and {tasks.PERTURBED} of all classes; for "
            f"photographs over {photographs} of them (MobileNetV1 ×0.25). {datetime.date.today()}, "
            f"{machine('cpu')}, {versions()}; {seconds / 60:.0f} minutes."
        ),
    ]
    return "\n\n".join(parts)


def fill(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False)


if __name__ == "__main__":
    main()
