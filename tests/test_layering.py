"""The rooms of the package and who may know whom (ARCHITECTURE.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = "fullgrad_lightning"
ROOT = Path(__file__).parent.parent / PACKAGE
LIGHTNING = {"pytorch_lightning", "lightning", "lightning_fabric"}

# Room -> the rooms it may import. Lightning is for those in ROOMS_WITH_LIGHTNING alone.
ROOMS: dict[str, set[str]] = {
    "_version": set(),
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
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py") if parts != ("__init__.py",) else None


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
    assert known <= {room, "_version"} | ROOMS[room]
    if room not in ROOMS_WITH_LIGHTNING:
        assert not {name.split(".")[0] for name in imports(path)} & LIGHTNING


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
