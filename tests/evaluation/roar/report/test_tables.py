"""results.csv, table.md and what is printed."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.reports.tables import as_text
from fullgrad_lightning.evaluation.roar.report.progress import format_progress, format_timing
from fullgrad_lightning.evaluation.roar.report.results import GridResults
from fullgrad_lightning.evaluation.roar.report.tables import (
    format_console,
    format_csv,
    format_markdown,
)
from tests.evaluation.roar.report.grids import cells, falling

ODD = ("a|b", 'say "hi", you', "two\nlines", "Σ$x_2$", "..", "=1+1")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_every_cell_with_all_it_knows(tmp_path: Path) -> None:
    states = cells(tmp_path, fill="blur")
    rows = read(format_csv(GridResults(states)))
    assert len(rows) == len(states) == 15
    by_label = {(row["method"], float(row["fraction"]), int(row["seed"])): row for row in rows}
    row = by_label["fullgrad", 0.5, 1]
    assert float(row["test_accuracy"]) == falling("fullgrad", 0.5, 1), "to the last digit"
    assert (row["order"], row["remove"], row["fill"]) == ("most_salient", "True", "blur")
    assert row["mask_only"] == "False" and row["state"] == "done" and row["epochs"] == "6"
    assert float(row["test_loss"]) == 0.5
    seconds = [float(row[f"seconds_{what}"]) for what in ("total", "training", "outside")]
    assert seconds == [60, 48, 12]
    assert (tmp_path / "cells" / row["folder"] / "result.json").exists()
    assert by_label["reference", 0.0, 0]["fill"] == ""


def test_csv_of_odd_names_and_missing_cells(tmp_path: Path) -> None:
    results = GridResults(cells(tmp_path, ODD, accuracy=lambda m, f, s: 0.5 if s == 0 else None))
    rows = read(format_csv(results))
    assert {row["method"] for row in rows} == {"reference", *ODD}
    assert {row["test_accuracy"] for row in rows if row["seed"] == "0"} == {"0.5"}
    blank = {(row["state"], row["test_accuracy"], row["seconds_total"]) for row in rows[1:3]}
    assert blank == {("waiting", "", "")}


def table_of(text: str, heading: str) -> dict[str, dict[str, str]]:
    """A table of a Markdown page: rows by their first cell."""
    lines = text.split(heading)[1].strip().split("\n\n")[0].splitlines()
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_markdown_shows_means_intervals_and_differences(tmp_path: Path) -> None:
    heights = {"reference": 0.9, "fullgrad": 0.8, "random": 0.85}
    results = GridResults(
        cells(tmp_path, accuracy=lambda m, f, s: heights[m] + 0.01 * s * (m != "random"))
    )
    text = format_markdown(results)
    assert "15 of 15 cells done." in text
    # s = 0.01, half-width 4.303 · 0.01 / √3 = 2.48 %
    assert "Reference, nothing replaced: 91.0 ± 2.5." in text
    table = table_of(text, "91.0 ± 2.5.")
    assert table["fullgrad"]["10 %"] == table["fullgrad"]["50 %"] == "81.0 ± 2.5"
    assert table["random"]["50 %"] == "85.0 ± 0.0"
    differences = table_of(text, "## Minus random, paired by seed")
    assert list(differences) == ["fullgrad"] and differences["fullgrad"]["50 %"] == "-4.0 ± 2.5"
    details = table_of(text, "## All numbers")
    assert details["reference"]["seeds"] == "3" and details["reference"]["std"] == "1.00"
    assert details["reference"]["95 % interval"] == "88.52 … 93.48"


def test_a_difference_that_is_rounded_to_zero_has_no_sign(tmp_path: Path) -> None:
    heights = {"reference": 0.9, "fullgrad": 0.8 - 1e-6, "random": 0.8}
    results = GridResults(cells(tmp_path, accuracy=lambda m, f, s: heights[m]))
    text = format_markdown(results)
    assert table_of(text, "## Minus random, paired by seed")["fullgrad"]["50 %"] == "0.0 ± 0.0"
    assert table_of(text, "## All numbers")["fullgrad"]["minus random"] == "0.00 ± 0.00"


def test_one_seed_has_means_alone(tmp_path: Path) -> None:
    text = format_markdown(GridResults(cells(tmp_path, seeds=[4], accuracy=lambda m, f, s: 0.8)))
    assert "±" not in text.split("## All numbers")[0].split("nothing replaced")[1]
    assert table_of(text, "80.0.")["fullgrad"] == {
        "method": "fullgrad", "10 %": "80.0", "50 %": "80.0", "AUC": "80.0",
    }  # fmt: skip
    assert table_of(text, "## All numbers")["random"]["95 % interval"] == ""


@pytest.mark.parametrize(
    ("masking", "words"),
    [
        ({}, ("most salient pixels are replaced (mean)", "The lower the accuracy")),
        ({"order": "least_salient"}, ("least salient pixels are replaced", "The higher")),
        ({"remove": False}, ("most salient pixels are kept", "The higher the accuracy")),
    ],
)
def test_markdown_says_which_numbers_are_good(
    tmp_path: Path, masking: dict[str, object], words: tuple[str, str]
) -> None:
    text = format_markdown(GridResults(cells(tmp_path, **masking)))
    assert all(part in text for part in words)


def test_markdown_escapes_names(tmp_path: Path) -> None:
    text = format_markdown(GridResults(cells(tmp_path, ["a|b", "two\nlines"], seeds=[0])))
    assert "| a\\|b | 10 %" in text and "| two lines | 10 %" in text


def test_half_way(tmp_path: Path) -> None:
    states = cells(
        tmp_path,
        accuracy=lambda m, f, s: None if f == 0.5 and s else 0.8,
        failures={("fullgrad", 0.1, 2): "Traceback …\n  File …\nRuntimeError: out of memory\n"},
    )
    results = GridResults(states)
    assert format_progress(results) == (
        "10 of 15 cells done, 1 failed, 4 waiting:\n"
        "- failed: fullgrad at 10 %, seed 2: RuntimeError: out of memory"
    )
    assert "10 of 15 cells done" in format_markdown(results)
    assert "fullgrad  80.0 ± 0.0  80.0  80.0" in format_console(results)


def test_nothing_done(tmp_path: Path) -> None:
    results = GridResults(cells(tmp_path, accuracy=lambda *_: None))
    assert "0 of 15 cells done, 15 waiting." in format_progress(results)
    assert "not trained yet" in format_console(results)
    assert "Minus random" not in format_console(results) + format_markdown(results)
    assert format_timing(results) == ""


def test_many_failures_are_counted(tmp_path: Path) -> None:
    labels = [(m, f, s) for m in ("fullgrad", "random") for f in (0.1, 0.5) for s in range(3)]
    results = GridResults(
        cells(tmp_path, failures=dict.fromkeys(labels, "ValueError: x" + "y" * 999))
    )
    lines = format_progress(results).splitlines()
    assert len(lines) == 7 and lines[-1] == "- … and 7 more failed"
    assert max(map(len, lines)) == 100


def test_time_outside_training_is_told(tmp_path: Path) -> None:
    text = format_timing(GridResults(cells(tmp_path)))
    assert "60 s (median)" in text and "20 % of it outside training" in text and "15 min" in text


def test_console_fits_a_hundred_columns(tmp_path: Path) -> None:
    methods = ["smoothgrad_squared_of_integrated_gradients", *ODD, "random"]
    text = format_console(GridResults(cells(tmp_path, methods, [i / 20 for i in range(1, 20)])))
    assert max(map(len, text.splitlines())) <= 100
    assert "smoothgrad_squared_of_integrate…" in text and "95 %" in text


def test_columns_are_aligned_at_the_means() -> None:
    table = [["method", "10 %"], ["a", "9.0 ± 10.0"], ["bcd", "100.0"], ["e", ""]]
    assert as_text(table).splitlines() == [
        "method  10 %",
        "a         9.0 ± 10.0",
        "bcd     100.0",
        "e",
    ]
