"""Twenty kills at random moments: of schedulers, cells and writers of saliency maps.

    python -m benchmarks.roar_kills [--kills 20] [--seed 0]

A small grid on generated images is run once undisturbed. Then the same command is run repeatedly,
and at random moments one of its processes, drawn at random, gets SIGKILL. A grid that is finished
before there were enough kills is followed by another one. All tables must be equal to the last
digit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import yaml

from fullgrad_lightning.evaluation.roar.grid_state import GridState
from fullgrad_lightning.evaluation.roar.jobs import CELLS, MAPS
from fullgrad_lightning.utilities.locks import is_locked, owner

GRID = {
    "methods": {"input_gradient": {}, "random": {}},
    "fractions": [0.3, 0.8],
    "seeds": [0],
    "data": {
        "class_path": "ShapesDataModule",
        "init_args": {"size": 32, "train_size": 1000, "val_size": 100, "test_size": 500},
    },
    "model": {
        "class_path": "ImageClassifier",
        "init_args": {"num_classes": 8, "model_options": {"width": 4}, "schedule": "cosine"},
    },
    "trainer": {"max_epochs": 3, "accelerator": "cpu"},
}
Table = dict[str, tuple[float, float]]


def start(output: Path) -> subprocess.Popen[bytes]:
    """Starts ``fullgrad roar run`` in a process."""
    config = output.with_suffix(".yaml")
    config.write_text(yaml.safe_dump({**GRID, "output": str(output)}))
    command = [sys.executable, "-m", "fullgrad_lightning.cli", "roar", "run", "--jobs", "2"]
    with open(output.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [*command, "--config", str(config)], stdout=log, stderr=subprocess.STDOUT
        )


def table(output: Path) -> Table:
    """Reads accuracy and loss of each cell."""
    results = {cell.folder.name: cell.result for cell in GridState(output).cells()}
    return {
        name: (result["test_accuracy"], result["test_loss"])
        for name, result in results.items()
        if result is not None
    }


def running_processes(output: Path, scheduler: subprocess.Popen[bytes]) -> list[tuple[str, int]]:
    """Lists the running processes: kind and id."""
    processes = [("scheduler", scheduler.pid)]
    for kind, folder in (("cell", CELLS), ("writer", MAPS)):
        for job in (output / folder).glob("*"):
            process = owner(job)
            if is_locked(job) and process is not None:
                processes.append((kind, process))
    return processes


def run_with_kills(
    output: Path, max_kills: int, draw: random.Random, max_wait: float
) -> Counter[str]:
    """Runs a grid to its end, with up to ``max_kills`` kills, each after up to ``max_wait`` s."""
    kills: Counter[str] = Counter()
    scheduler = start(output)
    while True:
        try:
            status = scheduler.wait(
                draw.uniform(0.0, max_wait) if kills.total() < max_kills else None
            )
        except subprocess.TimeoutExpired:
            processes = running_processes(output, scheduler)
            kind = draw.choice(sorted({kind for kind, _ in processes}))
            victim = draw.choice([process for name, process in processes if name == kind])
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(victim, signal.SIGKILL)
                kills[kind] += 1
            continue
        if status == 0:
            return kills
        scheduler = start(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        assert start(Path(folder, "undisturbed")).wait() == 0
        expected = table(Path(folder, "undisturbed"))
        undisturbed = time.monotonic() - begin
        print(f"undisturbed: {len(expected)} cells in {undisturbed:.0f} s")
        print("\n".join(f"  {name}: {a:.4f} {b:.6f}" for name, (a, b) in expected.items()))
        kills: Counter[str] = Counter()
        rounds = 0
        while kills.total() < options.kills:
            rounds += 1
            output = Path(folder, f"killed{rounds}")
            begin = time.monotonic()
            remaining = options.kills - kills.total()
            # Waits must exceed the time of a start, or no cell would ever be finished.
            new = run_with_kills(output, remaining, draw, max_wait=undisturbed / 2)
            kills += new
            same = table(output) == expected
            counts = ", ".join(f"{number} {kind}s" for kind, number in sorted(new.items()))
            verdict = "the same table" if same else "ANOTHER TABLE"
            print(f"killed {counts or 'nothing'}: {verdict}, {time.monotonic() - begin:.0f} s")
            if not same:
                print(table(output))
                sys.exit(1)
        print(f"{kills.total()} kills in {rounds} grids: all tables equal to the last digit.")


if __name__ == "__main__":
    main()
