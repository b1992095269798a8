"""Docstrings that state what a thing is or does (CONTRIBUTING.md), and modules of one concept."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("fullgrad_lightning", "benchmarks", "examples")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
RELATIVE = re.compile(r"(What|How|Whether|Where|Which|Those|That)\b")
POSSESSIVE = re.compile(r"\s+[\w*, ]+: (Of|Its|Their|Whose|That)\b")
SECTION = re.compile(r"\s*(Args|Attributes|Returns|Yields|Raises|Examples|Note|Shapes?):\s*$")


def docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each docstring of a file, the strings below constants too."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, nodes):
            for statement in node.body:
                value = statement.value if isinstance(statement, ast.Expr) else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.lineno, value.value


def relative_clauses(text: str) -> list[str]:
    """Docstrings that open with a relative clause instead of a statement."""
    return [
        f"{line}: {doc.strip().splitlines()[0]}"
        for line, doc in docstrings(text)
        if RELATIVE.match(doc.strip())
    ]


def possessive_entries(text: str) -> list[str]:
    """Entries of ``Args:`` and ``Attributes:`` that do not name the thing."""
    wrong = []
    for line, doc in docstrings(text):
        section = ""
        for row in doc.splitlines():
            if (heading := SECTION.match(row)) is not None:
                section = heading[1]
            elif section in ("Args", "Attributes") and POSSESSIVE.match(row):
                wrong.append(f"{line}: {row.strip()}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_are_statements(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert relative_clauses(text) == []
    assert possessive_entries(text) == []


def test_both_patterns_are_seen() -> None:
    text = '''"""What this is."""
def f(x, y):
    """Returns x.

    Args:
        x: Of the network.
        y, z: Their size.
    """
'''
    assert relative_clauses(text) == ["1: What this is."]
    assert possessive_entries(text) == ["3: x: Of the network.", "3: y, z: Their size."]


def test_modules_hold_one_concept() -> None:
    """Files are long enough to tell something and short enough to read."""
    modules = [path for path in FILES if path.is_relative_to(ROOT / FOLDERS[0])]
    sizes = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in modules
        if path.name != "__init__.py"
    }
    assert [str(path) for path, size in sizes.items() if size >= 320] == []
    assert 80 <= median(sizes.values()) <= 200
