"""Two processes with unequal numbers of samples find what one finds in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn
from torchmetrics import Metric

from fullgrad_lightning.metrics import (
    ROAD,
    ClassFlipping,
    CompletenessResidual,
    EnergyPointingGame,
    InsertionDeletion,
    PixelPerturbation,
    PointingGame,
    SaliencyDrift,
)
from tests.metrics.perturbing import network, samples as perturbed

SPLITS = (3, 10)  # how many of ten samples the first process has; the second may have none


def updated(samples: slice) -> dict[str, Metric]:
    """All metrics after these samples of ten."""
    generator = torch.Generator().manual_seed(0)
    residuals = torch.rand(10, dtype=torch.float64, generator=generator)
    maps, previous = torch.randn(2, 10, 1, 6, 7, generator=generator)
    masks = torch.rand(10, 6, 7, generator=generator) < 0.4
    masks[[1, 8]] = False
    metrics: dict[str, tuple[Metric, tuple[Tensor, ...]]] = {
        "residual": (CompletenessResidual(), (residuals,)),
        "drift": (SaliencyDrift(), (maps, previous)),
        "hits": (PointingGame(), (maps, masks)),
        "energy": (EnergyPointingGame(), (maps, masks)),
    }
    for metric, inputs in metrics.values():
        metric.update(*(values[samples] for values in inputs))
    images, ranks = (values[samples] for values in perturbed(10))
    found = {name: metric for name, (metric, _) in metrics.items()}
    for name, faithfulness in {
        "perturbation": PixelPerturbation((0.1, 0.5), fill="noisy_linear"),
        "insertion": InsertionDeletion(3),
        "road": ROAD((0.2, 0.6)),
    }.items():
        ids = torch.arange(10)[samples]
        faithfulness.update(network(), images, ranks, sample_ids=ids)
        found[name] = faithfulness
    flipping = ClassFlipping((0.1, 0.5), fill="noisy_linear")
    evidence, ids = maps[:, 0, :, :6].double()[samples], torch.arange(10)[samples]
    flipping.update(network(), images, evidence, original=0, target=2, sample_ids=ids)
    found["flipping"] = flipping
    return found


def computed(metrics: dict[str, Metric]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, metric in metrics.items():
        value = metric.compute()
        parts = value if isinstance(value, dict) else {"mean": value}
        for part, numbers in parts.items():
            values = numbers.flatten().tolist()
            found |= {f"{name}/{part}/{i}": float(value) for i, value in enumerate(values)}
    return found


def process(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", f"file://{folder / 'store'}", rank=rank, world_size=2)
    shares = [slice(split, None) if rank else slice(0, split) for split in SPLITS]
    torch.save([computed(updated(samples)) for samples in shares], folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    spawn(process, (tmp_path,), nprocs=2)
    expected = pytest.approx(computed(updated(slice(None))), rel=1e-14)
    for rank in (0, 1):
        for found in torch.load(tmp_path / f"{rank}.pt"):
            assert found == expected
