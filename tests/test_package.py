"""The package's own `__init__`: public names that are imported when they are asked for."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import fullgrad_lightning as fgl


def loaded_after(code: str) -> set[str]:
    """Which of the heavy packages a fresh interpreter has loaded after ``code``."""
    heavy = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "matplotlib", "captum")
    program = f"{code}\nimport sys; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert loaded_after("import fullgrad_lightning; dir(fullgrad_lightning)") == set()


@pytest.mark.parametrize("name", ["FullGrad", "full_gradients", "layer_maps", "saliency_method"])
def test_the_mathematics_comes_without_lightning(name: str) -> None:
    loaded = loaded_after(f"import fullgrad_lightning as fgl; fgl.{name}")
    assert "torch" in loaded and "pytorch_lightning" not in loaded


@pytest.mark.parametrize("name", fgl.__all__)
def test_every_public_name_is_what_it_says(name: str) -> None:
    thing = getattr(fgl, name)
    assert thing.__name__ == name and thing.__module__.startswith("fullgrad_lightning.")
    assert inspect.getdoc(thing)
    assert vars(fgl)[name] is thing, "the second time it is an ordinary attribute"
    assert copy.deepcopy(thing) is thing and pickle.loads(pickle.dumps(thing)) is thing


def test_type_checkers_see_the_same_names() -> None:
    """Independent of how lazy_loader reads the stub: each name is where the stub says it is."""
    stub = Path(fgl.__file__).with_suffix(".pyi")
    imports = [
        node
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
    ]
    assert all(alias.asname == alias.name for node in imports for alias in node.names), "exported"
    homes = {alias.name: node.module for node in imports for alias in node.names}
    rooms = {name for name, module in homes.items() if module is None}
    assert set(homes) - rooms == {*fgl.__all__, "__version__"}
    for name in set(homes) - rooms:
        home = importlib.import_module(f"fullgrad_lightning.{homes[name]}")
        assert getattr(home, name) is getattr(fgl, name)
    for room in rooms:
        assert inspect.ismodule(getattr(fgl, room))


def test_dir_shows_names_not_loaded_yet() -> None:
    program = "import fullgrad_lightning as fgl; print(*dir(fgl))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {*fgl.__all__, "__version__", "callbacks"} <= set(done.stdout.split())


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from fullgrad_lightning import *", names)
    assert set(fgl.__all__) <= set(names)


def test_unknown_name() -> None:
    with pytest.raises(AttributeError, match="No fullgrad_lightning attribute Fu"):
        fgl.Fu  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec("from fullgrad_lightning import nothing", {})


def test_instances_survive_pickling() -> None:
    method = fgl.FullGrad(postprocess="abs")
    assert pickle.loads(pickle.dumps(method)) == method == copy.deepcopy(method)
