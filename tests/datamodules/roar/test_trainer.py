"""Under a Trainer: all stages, reloading, checkpoints, hooks, distributed samplers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.data import _replace_dunder_methods
from pytorch_lightning.overrides.distributed import UnrepeatedDistributedSamplerWrapper
from pytorch_lightning.trainer.states import RunningStage
from pytorch_lightning.utilities.data import _update_dataloader
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

from fullgrad_lightning.datamodules import ROARDataModule
from tests.datamodules.roar.studies import (
    SIZES,
    V1_EVAL,
    V1_TRAIN,
    V2_EVAL,
    V2_TRAIN,
    Base,
    base_of,
    masked,
    random_store,
)


class Watcher(pl.LightningModule):
    """Learns nothing, and keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen: dict[str, list[Any]] = {"train": [], "val": [], "test": [], "predict": []}

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen["train"].append(batch)
        return self.layer(torch.ones(1)).sum()  # type: ignore[no-any-return]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["test"].append(batch)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.seen["predict"].append((dataloader_idx, batch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, **options: Any) -> pl.Trainer:
    quiet: dict[str, Any] = {
        "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "accelerator": "cpu", "default_root_dir": folder,
    }  # fmt: skip
    return pl.Trainer(**{**quiet, **options})


def missing(images: Tensor) -> Tensor:
    """How many pixels of each image are black, of images that have none by themselves."""
    black = torch.tensor([-2.0, -5 / 3, -1.5])[:, None, None]  # (0 − mean) / std
    return (images - black).abs().amax(1).lt(1e-4).flatten(1).sum(1)


@pytest.mark.parametrize("style", [(V1_TRAIN, V1_EVAL), (V2_EVAL, V2_EVAL)])
def test_all_stages(tmp_path: Path, style: Any) -> None:
    base = base_of(*style)
    store = random_store(tmp_path / "store", base)
    module, data = Watcher(), ROARDataModule(base, store.folder, 0.5, fill="black")
    base.stages.clear()
    run = trainer(tmp_path, max_epochs=2, reload_dataloaders_every_n_epochs=1)
    run.predict(module, datamodule=data, return_predictions=False)
    run.fit(module, datamodule=data)
    run.test(module, datamodule=data, verbose=False)
    assert data.trainer is run and base.trainer is run
    assert base.stages == ["fit", "test"], "once"
    counts = [(loader, len(indices)) for loader, (indices, _) in module.seen["predict"]]
    for number, split in enumerate(data.splits):
        assert sum(n for loader, n in counts if loader == number) == SIZES[split]
    for split in ("val", "test"):
        images = torch.cat([batch[0] for batch in module.seen[split]])
        assert (missing(images) >= 32).all()
    images, labels = (torch.cat([batch[i] for batch in module.seen["train"]]) for i in (0, 1))
    assert labels[:24].sort().values.equal(labels[24:].sort().values)
    assert not labels[:24].equal(labels[24:]), "another order in the second epoch"
    assert len(images) == 48 and (missing(images) > 16).all()


class WithState(Base):
    """Overrides every hook."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepare_data_per_node = False
        self.called: list[str] = []
        self.state = 0

    def prepare_data(self) -> None:
        self.called.append("prepare_data")

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.state = state_dict["state"]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return self._look("before", batch)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        return self._look("transfer", batch)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        images, labels = self._look("after", batch)
        return images, labels + 1000

    def on_exception(self, exception: BaseException) -> None:
        self.called.append(str(exception))

    def teardown(self, stage: str) -> None:
        self.called.append("teardown")

    def _look(self, name: str, batch: Any) -> Any:
        assert len(batch) == 2 and batch[0].ndim == 4, "a batch of base's own"
        self.called.append(name)
        return batch


def with_state() -> WithState:
    return WithState(base_of(V2_TRAIN, V2_EVAL).datasets)


def test_hooks_are_those_of_base(tmp_path: Path) -> None:
    base = with_state()
    store = random_store(tmp_path / "store", base)
    data = ROARDataModule(base, store.folder)
    assert data.prepare_data_per_node is False
    module, run = Watcher(), trainer(tmp_path, max_epochs=1)
    base.state = 7
    run.fit(module, datamodule=data)
    assert {"prepare_data", "before", "transfer", "after", "teardown"} <= set(base.called)
    assert all((labels >= 1000).all() for _, labels in module.seen["train"])
    base.called.clear()
    run.predict(module, datamodule=data, return_predictions=False)
    assert {"before", "transfer", "after", "teardown"} <= set(base.called)
    for _, (indices, (_, labels)) in module.seen["predict"]:
        assert labels.equal(indices + 1000)
    path = tmp_path / "last.ckpt"
    run.save_checkpoint(path)
    again = with_state()
    data = ROARDataModule(again, store.folder)
    trainer(tmp_path, max_epochs=2).fit(Watcher(), datamodule=data, ckpt_path=path)
    assert again.state == 7


class Failing(Watcher):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        raise RuntimeError("it failed")


def test_an_exception_reaches_base(tmp_path: Path) -> None:
    base = with_state()
    data = ROARDataModule(base, random_store(tmp_path / "store", base).folder)
    with pytest.raises(RuntimeError, match="it failed"):
        trainer(tmp_path, max_epochs=1).fit(Failing(), datamodule=data)
    assert "it failed" in base.called


class OwnHook(Watcher):
    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0], -batch[1]


def test_the_models_own_hooks_stay(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    data = ROARDataModule(base, random_store(tmp_path / "store", base).folder)
    module = OwnHook()
    trainer(tmp_path, max_epochs=1).fit(module, datamodule=data)
    assert all((labels <= 0).all() for _, labels in module.seen["train"])


@contextmanager
def as_lightning_asks() -> Iterator[None]:
    """What hooks are called in: how a loader was made is noted, to make it again."""
    with _replace_dunder_methods(DataLoader, "dataset"), _replace_dunder_methods(BatchSampler):
        yield


@pytest.mark.parametrize("context", [nullcontext, as_lightning_asks])
def test_lightnings_distributed_sampler_keeps_the_masks(tmp_path: Path, context: Any) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    data = masked(base, random_store(tmp_path, base), 0.5, fill="black")
    seen = []
    for rank in range(2):
        with context():
            loader = data.train_dataloader()
        sampler = DistributedSampler(loader.dataset, num_replicas=2, rank=rank)
        for images, labels in _update_dataloader(loader, sampler, RunningStage.TRAINING):
            assert (missing(images) >= 32).all()
            seen += labels.tolist()
    assert sorted(seen) == list(range(24))


@pytest.mark.parametrize(("rows", "expected"), [([6, 2, 5], [6, 2, 5]), ([4], [4, 4]), ([], [])])
def test_two_processes_predict(rows: list[int], expected: list[int]) -> None:
    data = ROARDataModule(base_of(V2_TRAIN, V2_EVAL))
    data.setup("predict")
    data.only_rows({"val": rows})
    data.trainer = SimpleNamespace(world_size=2)  # type: ignore[assignment]
    found: list[list[int]] = []
    for rank in range(2):
        with as_lightning_asks():
            loader = data.predict_dataloader()[1]
        sampler = UnrepeatedDistributedSamplerWrapper(
            loader.sampler, num_replicas=2, rank=rank, shuffle=False
        )
        dealt = _update_dataloader(loader, sampler, RunningStage.PREDICTING)
        found.append([i for indices, _ in dealt for i in indices.tolist()])
    assert found == [expected[0::2], expected[1::2]]


def test_validation_may_be_missing(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    base.val_dataloader = lambda: []  # type: ignore[method-assign]
    data = ROARDataModule(base, random_store(tmp_path / "store", base).folder)
    module = Watcher()
    trainer(tmp_path, max_epochs=1).fit(module, datamodule=data)
    assert module.seen["train"] and not module.seen["val"]


def test_predicting_few_or_no_samples(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    data, module = ROARDataModule(base), Watcher()
    data.only_rows({"train": [], "val": [4], "test": []})
    trainer(tmp_path).predict(module, datamodule=data, return_predictions=False)
    ((loader, (indices, _)),) = module.seen["predict"]
    assert loader == 1 and indices.tolist() == [4]
