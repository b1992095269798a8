"""Names, numbers and tables as text: for a terminal, Markdown and CSV. Imports no torch."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:  # a table of texts does not need scipy
    from fullgrad_lightning.evaluation.reports.statistics import Estimate

Table: TypeAlias = list[list[str]]  # headings, then rows; the first column has the names
WIDTH = 100  # of a terminal, in characters
MAX_NAME_LENGTH = 32  # in a terminal


class Section(NamedTuple):
    """A table with its title, and the meaning of its numbers; both may be empty."""

    title: str
    meaning: str
    table: Table


def percent(fraction: float) -> str:
    """Formats a fraction in percent.

    Examples:
        >>> percent(0.1), percent(0.125)
        ('10 %', '12.5 %')
    """
    return f"{100 * fraction:.4g} %"


def format_estimate(
    estimate: Estimate | None, digits: int, *, scale: float = 1, signed: bool = False
) -> str:
    """Formats ``scale`` times a mean, and the half-width of its interval if it has one.

    ``signed``: means above 0 have a plus sign. A mean that is rounded to 0 has no sign.

    Examples:
        >>> from fullgrad_lightning.evaluation.reports.statistics import Estimate
        >>> format_estimate(Estimate(0.8712, 0.004, 0.0043, 3), 1, scale=100)
        '87.1 ± 0.4'
        >>> format_estimate(Estimate(-0.0004, None, None, 1), 2, signed=True)
        '0.00'
    """
    if estimate is None:
        return ""
    mean = round(scale * estimate.mean, digits) + 0.0  # −0.0 + 0.0 = 0.0
    text = f"{mean:{'+' if signed and mean else ''}.{digits}f}"
    if estimate.half_width is None:
        return text
    return f"{text} ± {scale * estimate.half_width:.{digits}f}"


def estimate_table(
    headings: Sequence[str],
    rows: Iterable[tuple[str, Iterable[Estimate | None]]],
    digits: int,
    *,
    scale: float = 1,
    signed: bool = False,
) -> Table:
    """Builds a table with a row for each method: its name, and estimates below the headings."""
    cells = [
        [name, *(format_estimate(each, digits, scale=scale, signed=signed) for each in estimates)]
        for name, estimates in rows
    ]
    return [["method", *headings], *cells]


def one_line(text: str) -> str:
    """Replaces line breaks and other characters that would disturb a table or a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shorten(text: str, length: int, *, keep: Literal["start", "end"] = "start") -> str:
    """Cuts a text to a number of characters, with an ellipsis in place of the rest."""
    if len(text) <= length:
        return text
    return text[: length - 1] + "…" if keep == "start" else "…" + text[1 - length :]


def as_text(table: Table, width: int = WIDTH) -> str:
    """Formats a table of numbers, or numbers ± numbers, the means of a column aligned.

    Columns beyond the width, in characters, go below, names repeated.

    Examples:
        >>> print(as_text([["method", "10 %"], ["random", "9.1 ± 0.4"], ["mine", "85.0"]]))
        method  10 %
        random   9.1 ± 0.4
        mine    85.0
    """
    names, *columns = (list(column) for column in zip(*table, strict=True))
    names = _pad([shorten(one_line(name), MAX_NAME_LENGTH) for name in names])
    blocks = [[names]]
    for column in map(_align, columns):
        if sum(len(padded[0]) + 2 for padded in blocks[-1]) + len(column[0]) > width:
            blocks.append([names])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row).rstrip() for row in zip(*block, strict=True)) for block in blocks
    )


def as_markdown(table: Table) -> str:
    """Formats a table in GitHub's Markdown; characters that have a meaning there are escaped."""
    lines = [
        "| "
        + " | ".join(re.sub(r"([\\`*_|<\[\]])", r"\\\1", one_line(cell)) for cell in row)
        + " |"
        for row in table
    ]
    rule = "|---" + "|---:" * (len(table[0]) - 1) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def markdown_page(title: str, paragraphs: Iterable[str], sections: Iterable[Section]) -> str:
    """Formats a title, paragraphs and tables as a page in Markdown."""
    parts = [f"# {title}", *paragraphs]
    for heading, meaning, table in sections:
        parts += [f"## {heading}" if heading else "", meaning, as_markdown(table)]
    return "\n\n".join(filter(None, parts)) + "\n"


def console_page(paragraphs: Iterable[str], sections: Iterable[Section]) -> str:
    """Formats paragraphs and tables for a terminal."""
    parts = list(paragraphs)
    for heading, meaning, table in sections:
        title = f"{heading}\n{meaning}" if meaning else f"{heading}:" * bool(heading)
        parts += [title, as_text(table)]
    return "\n\n".join(filter(None, parts))


def as_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Formats rows as comma-separated values, numbers in full precision, ``None`` as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return text.getvalue()


def _align(column: Sequence[str]) -> list[str]:
    """Pads a heading and the numbers below it so that the parts before ± end at one position."""
    ends = [len(cell.partition(" ±")[0]) for cell in column]
    last = max(ends[1:], default=0)
    moved = [" " * (last - end) + cell for cell, end in zip(column[1:], ends[1:], strict=True)]
    return _pad([column[0], *moved])


def _pad(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.ljust(width) for cell in column]
