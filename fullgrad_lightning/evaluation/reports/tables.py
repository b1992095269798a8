"""How names, fractions and tables are written, in a terminal and in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

WIDTH = 100  # of a terminal, in characters
LONGEST_NAME = 32  # in a terminal
Table = list[list[str]]  # headings, then rows; the first column has the names


def percent(fraction: float) -> str:
    """A fraction as people read it.

    Examples:
        >>> percent(0.1), percent(0.125)
        ('10 %', '12.5 %')
    """
    return f"{100 * fraction:.4g} %"


def one_line(text: str) -> str:
    """A name without line breaks and other characters that would disturb a table or a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shortened(text: str, most: int) -> str:
    """A text of at most so many characters, with an ellipsis for what is cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def as_text(table: Table, width: int = WIDTH) -> str:
    """A table in columns, means below each other.

    Args:
        table: Cells are numbers, or numbers ± numbers.
        width: In characters. Columns that do not fit beside the others go below, names repeated.

    Examples:
        >>> print(as_text([["method", "10 %"], ["random", "9.1 ± 0.4"], ["mine", "85.0"]]))
        method  10 %
        random   9.1 ± 0.4
        mine    85.0
    """
    names, *columns = (list(column) for column in zip(*table, strict=True))
    names = _justified([shortened(one_line(name), LONGEST_NAME) for name in names])
    blocks = [[names]]
    for column in map(_aligned, columns):
        if sum(len(one[0]) + 2 for one in blocks[-1]) + len(column[0]) > width:
            blocks.append([names])
        blocks[-1].append(column)
    return "\n\n".join(
        "\n".join("  ".join(row).rstrip() for row in zip(*block, strict=True)) for block in blocks
    )


def as_markdown(table: Table) -> str:
    """A table in GitHub's Markdown; characters that mean something there are escaped."""
    lines = [
        "| "
        + " | ".join(re.sub(r"([\\`*_|<\[\]])", r"\\\1", one_line(cell)) for cell in row)
        + " |"
        for row in table
    ]
    rule = "|---" + "|---:" * (len(table[0]) - 1) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _aligned(column: Sequence[str]) -> list[str]:
    """A heading and numbers below it, so that what stands before ± ends at one place."""
    ends = [len(cell.partition(" ±")[0]) for cell in column]
    most = max(ends[1:], default=0)
    moved = [" " * (most - end) + cell for cell, end in zip(column[1:], ends[1:], strict=True)]
    return _justified([column[0], *moved])


def _justified(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [cell.ljust(width) for cell in column]
