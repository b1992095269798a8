"""Tables of the scores, for Markdown and a terminal, and all numbers as CSV."""

from __future__ import annotations

from dataclasses import astuple

from fullgrad_lightning.evaluation.perturbation.report.results import (
    PerturbationResults,
    ScoreCurves,
)
from fullgrad_lightning.evaluation.reports.tables import (
    Section,
    as_csv,
    console_page,
    estimate_table,
    markdown_page,
    percent,
)

DIGITS = 3


def format_console(results: PerturbationResults) -> str:
    """Formats the tables for a terminal."""
    return console_page([_introduce(results)], _sections(results))


def format_markdown(results: PerturbationResults) -> str:
    """Formats the text of ``table.md``."""
    title = f"Pixels replaced, {results.samples} images"
    return markdown_page(title, [_introduce(results)], _sections(results))


def format_csv(results: PerturbationResults) -> str:
    """Formats a row for each score, curve, method, fraction: mean, std (n − 1), half-width, n."""
    rows: list[list[object]] = []
    for score, curves in results.scores.items():
        for method, curve in ((m, c) for m, named in curves.by_method.items() for c in named):
            estimates = curves.estimates(method, curve)
            levels = curves.levels if len(estimates) == len(curves.levels) else ("",)
            for level, each in zip(levels, estimates, strict=True):
                numbers = astuple(each) if each else ()
                rows.append([score, curve, method, level, *numbers])
    headings = ["score", "curve", "method", "fraction", "mean", "std", "half_width_95", "images"]
    return as_csv(headings, rows)


def _introduce(results: PerturbationResults) -> str:
    """The notation, after the number of methods that are done, unless all are."""
    notation = "After ±: half of the 95 % Student-t interval of the mean over images."
    if results.done == results.methods:
        return notation
    return f"{results.done} of {results.methods} methods done. {notation}"


def _sections(results: PerturbationResults) -> list[Section]:
    """The tables of all scores that have been computed for a method."""
    makers = {
        "perturbation": _pixel_perturbation,
        "insertion_deletion": _insertion_deletion,
        "road": _road,
    }
    return [
        section
        for score, curves in results.scores.items()
        if curves.by_method
        for section in makers[score](curves, results)
    ]


def _pixel_perturbation(curves: ScoreCurves, results: PerturbationResults) -> list[Section]:
    """Both orders, as in Figure 2a."""
    sections = []
    for curve, better in (("least_salient", "lower"), ("most_salient", "higher")):
        rows = [
            (name, [*curves.estimates(name, curve), curves.area(name, curve, start=0.0)])
            for name in curves.methods
        ]
        words = curve.replace("_", " ")
        sections.append(
            Section(
                f"Pixel perturbation, {words} pixels first",
                f"|f(x′) − f(x)| / |f(x)| of the logit when that share of the {words} pixels "
                f"is replaced ({results.fill.replace('_', ' ')}); {better} is better. AUC: the "
                f"mean height of the curve from 0 to {percent(curves.levels[-1])}.",
                estimate_table([*map(percent, curves.levels), "AUC"], rows, DIGITS),
            )
        )
    return sections


def _insertion_deletion(curves: ScoreCurves, results: PerturbationResults) -> list[Section]:
    rows = [
        (name, [curves.area(name, curve) for curve in ("insertion", "deletion")])
        for name in curves.methods
    ]
    return [
        Section(
            "Insertion and deletion",
            "Areas under the probability of the class while the most salient pixels are added to "
            "a blurred image (insertion, higher is better), or replaced by black (deletion, lower "
            f"is better); {len(curves.levels) - 1} steps.",
            estimate_table(["insertion AUC", "deletion AUC"], rows, DIGITS),
        )
    ]


def _road(curves: ScoreCurves, results: PerturbationResults) -> list[Section]:
    pairs = [("least_correct", "most_correct"), ("least_probability", "most_probability")]
    rows = [(name, [curves.difference(name, *pair) for pair in pairs]) for name in curves.methods]
    return [
        Section(
            "ROAD",
            "With the least salient pixels imputed minus with the most salient ones, averaged over "
            f"{', '.join(map(percent, curves.levels))}: how often the class is still the top one, "
            "and its probability. Higher is better; an order without information has 0.",
            estimate_table(["accuracy", "probability"], rows, DIGITS),
        )
    ]
