"""Measured sections of the documentation's pages, and descriptions of machine and versions."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import torch

from fullgrad_lightning.utilities.files import atomic_write


def write_section(path: Path, name: str, content: str) -> None:
    """Replaces a section of a page, between the lines ``<!-- name: begin -->`` and ``… end -->``.

    Raises:
        SystemExit: The page lacks one of these lines, or has it twice.
    """
    atomic_write(path, replace_section(path.read_text(encoding="utf-8"), name, content))


def replace_section(page: str, name: str, content: str) -> str:
    """Returns the text of a page with one section replaced; see ``write_section``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"The page must have the lines {begin} and {end}, each once.")
    before, after = page.split(begin)[0], page.split(end)[1]
    return f"{before}{begin}\n{content}\n{end}{after}"


def machine(device: str) -> str:
    """Describes the device in words: the GPU, or the CPU with its cores and torch's threads."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        model = None
    name = model[1] if model else platform.machine()
    return f"{name} with {os.cpu_count()} cores ({torch.get_num_threads()} threads)"


def versions() -> str:
    """Describes the versions that a table was measured with."""
    return f"torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}"
