"""README and docs/: code runs, YAML parses, commands, files and public names exist."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torchvision.transforms.functional import to_pil_image

import fullgrad_lightning as fgl
from fullgrad_lightning.cli import COMMANDS, command_line
from fullgrad_lightning.cli.training import SUMMARIES as TRAINING
from fullgrad_lightning.evaluation.perturbation.config import PerturbationConfig
from fullgrad_lightning.evaluation.sanity.config import SanityConfig

ASK = {"perturb": PerturbationConfig, "sanity": SanityConfig}
ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / page for page in ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md")]
# What a page's code needs that its reader has and a test has not, it tells in comments:
PHOTOS = "<!-- test: needs photos/ -->"  # photos/train/<class>/*.jpg
SMALLER = re.compile(r"<!-- test: (.+?) as (.+?) -->")  # <!-- test: max_epochs=10 as … -->


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fenced(page: Path) -> Iterator[tuple[str, int, str]]:
    """Fenced blocks: language (empty if none is told), number of the first line, content."""
    language, start, content = None, 0, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("```"):
            content += line + "\n"
        elif language is None:
            language, start, content = line[3:].strip(), number + 1, ""
        else:
            yield language, start, content
            language, content = None, ""
    assert language is None, f"{name(page)}: a block that begins at line {start} does not end"


def python_of(page: Path) -> str:
    """All Python blocks, each on the lines where it stands, so that tracebacks point at them."""
    code = ""
    for language, start, content in fenced(page):
        if language == "python":
            code += "\n" * (start - 1 - code.count("\n")) + content
    for written, run in SMALLER.findall(page.read_text()):
        assert written in code, f"{name(page)} has a marker for {written!r}, but no such code"
        code = code.replace(written, run)
    return code


def take_photos(folder: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    for kind in ("cats", "dogs"):
        (folder / "train" / kind).mkdir(parents=True)
        for number in range(6):
            pixels = torch.randint(256, (3, 40, 48), dtype=torch.uint8, generator=generator)
            to_pil_image(pixels).save(folder / "train" / kind / f"{number}.jpg")


@pytest.mark.parametrize("page", [p for p in PAGES if python_of(p)], ids=name)
def test_code_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if PHOTOS in page.read_text():
        take_photos(Path("photos"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        code = compile(python_of(page), str(page), "exec", dont_inherit=True)
        exec(code, {"__name__": page.stem})


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_yaml_parses_and_names_classes_that_exist(page: Path) -> None:
    for language, start, content in fenced(page):
        if language == "yaml":
            for path in class_paths(yaml.safe_load(content)):
                *module, last = path.split(".")
                home = importlib.import_module(".".join(module) or fgl.__name__)
                assert hasattr(home, last), f"{name(page)}, line {start}: no {path}"


def class_paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "class_path" in value:
            yield value["class_path"]
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from class_paths(entry)


def commands(page: Path) -> Iterator[list[str]]:
    """Commands of this project that can be copied: from blocks without a language, or indented."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    shell = "".join(content for language, _, content in fenced(page) if not language)
    shell += "\n".join(re.findall(r"^ {4}(\S.*)$", prose, re.MULTILINE))
    for line in shell.replace("\\\n", " ").splitlines():
        if re.match(r"(fullgrad|make|python) \S", line):
            yield shlex.split(line, comments=True)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_commands_exist(page: Path) -> None:
    for program, first, *others in commands(page):
        if program == "make":
            assert re.search(rf"^{first}:", (ROOT / "Makefile").read_text(), re.MULTILINE), first
        elif program == "fullgrad":
            assert first in COMMANDS
            if first in ASK:
                known = {
                    "config",
                    "model",
                    "data",
                    "trainer",
                    *(f.name for f in fields(ASK[first])),
                }
                assert {re.split("[.=]", o[2:])[0] for o in others if o[:2] == "--"} <= known
            elif first not in TRAINING:  # whose options are LightningCLI's
                command_line().parse_args([first, *others])  # exits, and tells why, if it must
        elif first == "-m":
            assert importlib.util.find_spec(others[0]), others[0]
        else:
            assert (ROOT / first).is_file(), first
        for word in others:
            if word.startswith(("docs/", "examples/")):
                assert (ROOT / word.partition(":")[0]).exists(), word


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_commands_named_in_a_sentence_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"`fullgrad ([a-z]+)", text)) <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", text)) <= targets
    for module in re.findall(r"`python -m ([\w.]+)", text):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), f"{name(page)}: {target}"


def documented() -> list[str]:
    """What the pages of the API show, as full paths."""
    pages = (ROOT / "docs" / "api").glob("*.md")
    return [path for page in pages for path in re.findall(r"^::: (\S+)", page.read_text(), re.M)]


def test_all_public_names_have_a_place_in_the_api() -> None:
    ours = [path.removeprefix("fullgrad_lightning.") for path in documented()]
    assert len(ours) == len(set(ours)), "something is shown twice"
    assert set(fgl.__all__) <= set(ours), f"not shown: {sorted(set(fgl.__all__) - set(ours))}"


@pytest.mark.parametrize("path", documented())
def test_what_the_api_shows_is_there_and_can_be_rendered(path: str) -> None:
    module, _, last = path.rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    text = inspect.getdoc(thing) or ""
    assert text
    # mkdocstrings knows the section as Examples, and Markdown no tables but those with pipes.
    assert not re.search(r"^Example:$|^={4,} +={4,}", text, re.MULTILINE)


def test_all_pages_are_in_the_navigation() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(inner)

    shown = sorted(pages(site["nav"]))
    assert shown == sorted(str(p.relative_to(ROOT / "docs")) for p in PAGES[1:])
