"""The rooms of the package and who may know whom (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "fullgrad_lightning"
ROOT = Path(__file__).parent.parent / PACKAGE
LIGHTNING = {"pytorch_lightning", "lightning", "lightning_fabric"}

# Room -> the rooms it may import. Lightning is for those in ROOMS_WITH_LIGHTNING alone.
ROOMS: dict[str, set[str]] = {
    "utilities": set(),
    "decomposition": {"utilities"},
    "saliency": {"utilities", "decomposition"},
    "masking": {"utilities"},
    "stores": {"utilities"},
    "metrics": {"utilities", "decomposition", "masking"},
    "visualization": {"utilities"},
    "datamodules": {"utilities", "masking", "stores"},
    "models": {"utilities", "saliency", "datamodules"},
    "callbacks": {
        "utilities", "decomposition", "saliency", "masking", "stores", "metrics", "datamodules",
        "visualization",
    },
    "evaluation": {
        "utilities", "decomposition", "saliency", "masking", "stores", "metrics", "datamodules",
        "models", "visualization", "callbacks",
    },
    "cli": {
        "utilities", "decomposition", "saliency", "masking", "stores", "metrics", "datamodules",
        "models", "visualization", "callbacks", "evaluation",
    },
}  # fmt: skip
ROOMS_WITH_LIGHTNING = {"datamodules", "models", "callbacks", "evaluation", "cli"}


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str | None:
    """The folder of a file below the package's own; ``None`` for the package's own files."""
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else None


def imports(path: Path) -> set[str]:
    """Full names of everything a file imports, inside functions and TYPE_CHECKING too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_has_its_rule() -> None:
    assert {room_of(path) for path in files()} - {None} == set(ROOMS)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_file_knows_only_the_rooms_it_may(path: Path) -> None:
    room = room_of(path)
    if room is None:  # the package's own __init__ shows the public names of all rooms
        return
    known = {name.split(".")[1] for name in imports(path) if name.startswith(PACKAGE + ".")}
    assert known <= {room, "_version"} | ROOMS[room]  # the version's file imports nothing
    if room not in ROOMS_WITH_LIGHTNING:
        assert not {name.split(".")[0] for name in imports(path)} & LIGHTNING


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports, inside functions too."""
    modules = {module_name(path): path for path in files()}

    def target(name: str, importer: str) -> str | None:
        candidates = (name, name.rpartition(".")[0])  # a module, or a name inside one
        # A package imports its own modules, and is not imported by them for that.
        return next((m for m in candidates if m in modules and m != importer), None)

    graph = {}
    for module, path in modules.items():
        targets = {target(name, module) for name in imports(path)}
        graph[module] = {name for name in targets if name is not None}
    return graph


def test_rooms_are_listed_in_their_order() -> None:
    above: set[str] = set()
    for room, allowed in ROOMS.items():
        assert allowed <= above, f"{room} imports a room that is listed below it"
        above.add(room)


def test_no_import_circle() -> None:
    try:
        TopologicalSorter(imported_modules()).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(reversed(error.args[1]))}")


def test_a_circle_would_be_seen() -> None:
    graph = imported_modules()
    assert f"{PACKAGE}.utilities.describe" in graph[f"{PACKAGE}.utilities.samples"]
    graph[f"{PACKAGE}.utilities.describe"].add(f"{PACKAGE}.utilities.samples")
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_the_decomposition_imports_torch_alone() -> None:
    import subprocess
    import sys

    others = ("pytorch_lightning", "torchvision", "torch._dynamo")
    code = (
        "import sys, fullgrad_lightning.decomposition; "
        f"print([m for m in {others} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
