"""Tables of the scores, for Markdown and a terminal, and all numbers as CSV."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

from fullgrad_lightning.evaluation.perturbation.report.results import Curves, Results
from fullgrad_lightning.evaluation.reports.statistics import Estimate
from fullgrad_lightning.evaluation.reports.tables import Table, as_markdown, as_text, percent

INTERVAL = "After ±: half of the 95 % Student-t interval of the mean over images."


class Section(NamedTuple):
    """A table, and what it shows.

    Args:
        title: What is in it.
        meaning: How to read it.
        table: Its cells.
    """

    title: str
    meaning: str
    table: Table


def sections(results: Results) -> list[Section]:
    """The tables of all scores that were asked for."""
    makers = {"perturbation": _perturbation, "insertion_deletion": _insertion, "road": _road}
    found = []
    for name, curves in results.scores.items():
        if curves.by_method:
            found += makers[name](curves, results)
    return found


def console(results: Results) -> str:
    """The tables for a terminal."""
    blocks = [
        f"{title}\n{meaning}\n\n{as_text(table)}" for title, meaning, table in sections(results)
    ]
    return "\n\n".join([*blocks, INTERVAL])


def markdown(results: Results) -> str:
    """The text of ``table.md``."""
    blocks = [
        f"## {title}\n\n{meaning}\n\n{as_markdown(table)}"
        for title, meaning, table in sections(results)
    ]
    head = f"# Pixels replaced, {results.samples} images\n\n{progress(results)}{INTERVAL}"
    return "\n\n".join([head, *blocks]) + "\n"


def progress(results: Results) -> str:
    """How much is missing; nothing if all is there."""
    if results.done == results.methods:
        return ""
    return f"{results.done} of {results.methods} methods done. "


def csv_text(results: Results) -> str:
    """A row for each score, curve, method and fraction: mean, std (n − 1), half-width, n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["score", "curve", "method", "fraction", "mean", "std", "half_width_95", "images"]
    )
    for score, curves in results.scores.items():
        for method, named in curves.by_method.items():
            for curve in named:
                found = curves.at(method, curve)
                levels = curves.levels if len(found) == len(curves.levels) else ("",)
                for level, one in zip(levels, found, strict=True):
                    numbers = [] if one is None else [
                        one.mean, one.deviation, one.half_width, one.count
                    ]  # fmt: skip
                    writer.writerow([score, curve, method, level, *numbers])
    return text.getvalue()


def _perturbation(curves: Curves, results: Results) -> list[Section]:
    """Both orders, as in Figure 2a."""
    found = []
    for curve, better in (("least_salient", "lower"), ("most_salient", "higher")):
        headings = ["method", *map(percent, curves.levels), "AUC"]
        rows = []
        for method in curves.methods:
            numbers = [*curves.at(method, curve), curves.area(method, curve, start=0.0)]
            rows.append([method, *(_short(one) for one in numbers)])
        words = curve.replace("_", " ")
        found.append(
            Section(
                f"Pixel perturbation, {words} pixels first",
                f"|f(x′) − f(x)| / |f(x)| of the logit when so many of the {words} pixels are "
                f"replaced ({results.fill.replace('_', ' ')}); {better} is better. AUC: the mean "
                f"height of the curve from 0 to {percent(curves.levels[-1])}.",
                [headings, *rows],
            )
        )
    return found


def _insertion(curves: Curves, results: Results) -> list[Section]:
    rows = [
        [method, *(_short(curves.area(method, curve)) for curve in ("insertion", "deletion"))]
        for method in curves.methods
    ]
    return [
        Section(
            "Insertion and deletion",
            "Areas under the probability of the class while the most salient pixels are added to "
            "a blurred image (insertion, higher is better), or replaced by black (deletion, lower "
            f"is better); {len(curves.levels) - 1} steps.",
            [["method", "insertion AUC", "deletion AUC"], *rows],
        )
    ]


def _road(curves: Curves, results: Results) -> list[Section]:
    pairs = [("least_correct", "most_correct"), ("least_probability", "most_probability")]
    rows = [
        [method, *(_short(curves.difference(method, a, b)) for a, b in pairs)]
        for method in curves.methods
    ]
    shares = ", ".join(map(percent, curves.levels))
    return [
        Section(
            "ROAD",
            "With the least salient pixels imputed minus with the most salient ones, averaged over "
            f"{shares}: how often the class is still the top one, and its probability. Higher is "
            "better; 0 is what an order that tells nothing reaches.",
            [["method", "accuracy", "probability"], *rows],
        )
    ]


def _short(of: Estimate | None) -> str:
    if of is None:
        return ""
    return f"{of.mean:.3f}" + ("" if of.half_width is None else f" ± {of.half_width:.3f}")
