"""Tables and figures of pixel perturbation, from numbers chosen by hand."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import same_color

from fullgrad_lightning.evaluation.perturbation.report import write_report
from fullgrad_lightning.evaluation.perturbation.report.figures import draw
from fullgrad_lightning.evaluation.perturbation.report.results import (
    PerturbationResults,
    ScoreCurves,
)
from fullgrad_lightning.evaluation.perturbation.report.tables import (
    format_console,
    format_csv,
    format_markdown,
)
from fullgrad_lightning.evaluation.reports.figures import COLOURS


def changes(*rows: list[float]) -> dict[str, np.ndarray]:
    """Of images (n), at two fractions; the most salient ones change twice as much."""
    least = np.array(rows)
    return {"output": least[:, :1], "least_salient": least, "most_salient": 2 * least}


def results(methods: int = 2) -> PerturbationResults:
    curves = ScoreCurves((0.1, 0.5))
    curves.by_method["fullgrad"] = changes([0.1, 0.2], [0.3, 0.4], [np.nan, np.nan])
    curves.by_method["random"] = changes([0.5, 0.5], [0.5, 0.7], [0.5, 0.6])
    return PerturbationResults(3, methods, "black", {"perturbation": curves})


def test_means_areas_and_intervals_by_hand() -> None:
    curves = results().scores["perturbation"]
    first, second = curves.estimates("fullgrad", "least_salient")
    assert first is not None and second is not None
    assert (first.count, first.mean, second.mean) == (2, pytest.approx(0.2), pytest.approx(0.3))
    assert first.deviation == pytest.approx(0.02**0.5)
    assert first.half_width == pytest.approx(12.7062047 * 0.02**0.5 / 2**0.5)  # t of one degree
    area = curves.area("fullgrad", "least_salient", start=0.0)
    # From 0 to 0.1 a triangle, from there to 0.5 a trapezoid.
    assert area is not None
    assert area.mean == pytest.approx((0.1 * 0.2 / 2 + 0.4 * 0.25) / 0.5)
    without = curves.area("fullgrad", "least_salient")
    assert without is not None and without.mean == pytest.approx(0.25)
    difference = curves.difference("random", "most_salient", "least_salient")
    assert difference is not None and difference.mean == pytest.approx((0.5 + 0.6 + 0.55) / 3)


def test_tables() -> None:
    text = format_markdown(results())
    assert "| fullgrad | 0.200 ± 1.271 | 0.300 ± 1.271 | 0.220" in text
    assert text.startswith("# Pixels replaced, 3 images") and "methods done" not in text
    assert "1 of 3 methods done" not in text and "2 of 3 methods done" in format_markdown(
        results(3)
    )
    text = format_console(results())
    assert text.index("least salient pixels first") < text.index("most salient pixels first")
    rows = list(csv.DictReader(io.StringIO(format_csv(results()))))
    (row,) = (
        row for row in rows
        if (row["curve"], row["method"], row["fraction"]) == ("most_salient", "random", "0.5")
    )  # fmt: skip
    assert float(row["mean"]) == pytest.approx(1.2) and row["images"] == "3"
    assert float(row["std"]) == pytest.approx(0.2)


def test_the_figure_shows_means_and_bands() -> None:
    figure = draw("perturbation", results().scores["perturbation"])
    left, right = figure.axes
    for axes, factor in ((left, 1), (right, 2)):
        (line,) = (
            line for line in axes.lines
            if line.get_transform() == axes.transData and same_color(line.get_color(), COLOURS[0])
        )  # fmt: skip
        assert line.get_xdata() == pytest.approx([10, 50])
        assert line.get_ydata() == pytest.approx([factor * 0.2, factor * 0.3])
        assert len(axes.collections) == 2
    assert left.get_ylim() == right.get_ylim(), "to be compared"
    assert left.get_ylim()[0] == 0 and left.get_ylim()[1] > 1.2, "nothing is cut off"
    assert {text.get_text() for text in right.texts} == {"FullGrad", "Random"}


def test_curves_that_meet_are_named_in_a_legend() -> None:
    curves = ScoreCurves((0.0, 0.5, 1.0))
    for method, middle in (("fullgrad", 0.3), ("random", 0.1)):
        inserted = np.array([[0.0, middle, 0.6], [0.0, middle, 0.8]])
        curves.by_method[method] = {"insertion": inserted, "deletion": inserted[:, ::-1]}
    left, right = draw("insertion_deletion", curves).axes
    legend = left.get_legend()
    assert legend is not None and not right.texts
    assert [text.get_text() for text in legend.get_texts()] == ["FullGrad", "Random"]


def test_files_also_half_way(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = write_report(results(3), tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"table.md", "results.csv", "perturbation.png", "perturbation.svg"}
    assert text.startswith("2 of 3 methods done") and str(tmp_path / "perturbation.png") in text
    before = (tmp_path / "perturbation.svg").read_bytes()
    write_report(results(3), tmp_path)
    assert (tmp_path / "perturbation.svg").read_bytes() == before


def test_no_torch() -> None:
    code = (
        "import sys, fullgrad_lightning.evaluation.perturbation.report; "
        "print([m for m in ('torch', 'pytorch_lightning') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
