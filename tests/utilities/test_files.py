"""Files are whole, or as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from fullgrad_lightning.utilities.files import atomic_path, atomic_write


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "result.json"
    atomic_write(path, "old")

    def fails() -> None:
        with atomic_path(path) as unfinished:
            unfinished.write_text("half")
            assert path.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_text_is_utf8_and_bytes_are_bytes(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "ψ")
    atomic_write(tmp_path / "b", b"\xff\x00")
    assert (tmp_path / "a").read_bytes() == "ψ".encode()
    assert (tmp_path / "b").read_bytes() == b"\xff\x00"
