"""Locks that die with their owner, and processes that die with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fullgrad_lightning.evaluation.roar.worker import PARENT
from fullgrad_lightning.utilities.locks import FolderInUse, folder_lock, is_locked, owner
from tests.evaluation.roar.processes import lives

HOLDS = """
import os, sys, time
from pathlib import Path
from fullgrad_lightning.utilities.locks import folder_lock
with folder_lock(Path(sys.argv[1])):
    child = os.fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""
PARENT_AND_CHILD = """
import os, subprocess, sys, time
child = '''
from fullgrad_lightning.evaluation.roar.worker import start_parent_watchdog
import os, subprocess, sys, time
start_parent_watchdog()
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), grandchild.pid, os.environ["FULLGRAD_PARENT"], flush=True)
time.sleep(60)
'''
os.environ["FULLGRAD_PARENT"] = str(os.getpid())
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
time.sleep(60)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_one_at_a_time(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "cell"):
        assert is_locked(tmp_path / "cell")
        assert owner(tmp_path / "cell") == os.getpid()
        with (
            pytest.raises(FolderInUse, match=f"in use by process {os.getpid()}"),
            folder_lock(tmp_path / "cell", wait=0.2),
        ):
            pass
    assert not is_locked(tmp_path / "cell")
    assert not is_locked(tmp_path / "never seen")
    with folder_lock(tmp_path / "cell"):
        pass


def test_a_killed_owner_lets_go_though_its_forked_child_lives(tmp_path: Path) -> None:
    process = start(HOLDS, str(tmp_path))
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        assert is_locked(tmp_path) and owner(tmp_path) == process.pid
        process.kill()
        process.wait()
        assert lives(child)
        with folder_lock(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_waits_for_the_owner_to_end(tmp_path: Path) -> None:
    process = start(HOLDS, str(tmp_path))
    assert process.stdout is not None
    child = int(process.stdout.readline())
    os.kill(child, signal.SIGKILL)
    subprocess.Popen(["sh", "-c", f"sleep 0.4; kill -9 {process.pid}"])
    begin = time.monotonic()
    with folder_lock(tmp_path, wait=10):
        assert 0.2 < time.monotonic() - begin < 5
    process.wait()


def test_a_process_and_its_children_end_with_the_parent() -> None:
    parent = start(PARENT_AND_CHILD)
    assert parent.stdout is not None
    child, grandchild, watched = map(int, parent.stdout.readline().split())
    assert watched == child, "its own children watch it"
    time.sleep(0.6)
    assert lives(child) and lives(grandchild)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 2
    while lives(child) or lives(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_parent_that_died_before() -> None:
    """The process was started, and its parent was gone before it looked."""
    watchdog = "fullgrad_lightning.evaluation.roar.worker"
    code = f"from {watchdog} import start_parent_watchdog; import time; start_parent_watchdog(); "
    environment = {**os.environ, PARENT: "999999999"}
    done = subprocess.run([sys.executable, "-c", code + "time.sleep(60)"], env=environment)
    assert done.returncode == -signal.SIGKILL
