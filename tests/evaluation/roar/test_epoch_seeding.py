"""A training that is broken off and goes on ends in the weights of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset

from fullgrad_lightning.evaluation.roar.epoch_checkpoint import (
    AtomicCheckpointIO,
    EpochCheckpoint,
    readable_checkpoint,
)
from fullgrad_lightning.evaluation.roar.epoch_sampler import EpochSampler, seed_everything
from fullgrad_lightning.evaluation.roar.epoch_seeding import EpochSeededDataModule, EpochSeeding
from tests.evaluation.roar.planted import AugmentedShapes, DropoutNet

EPOCHS = 4


class BreakOff(pl.Callback):
    """Raises an error in a batch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.moment = epoch, batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self.moment:
            raise InterruptedError


def train(folder: Path, *callbacks: pl.Callback, workers: int = 0, **options: Any) -> Any:
    """The last checkpoint, of a training that goes on with the one there is."""
    seed_everything("weights", 5)
    last = EpochCheckpoint(folder, started=0.0)
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        callbacks=[*callbacks, EpochSeeding(), last], plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
    )  # fmt: skip
    data = EpochSeededDataModule(AugmentedShapes(num_workers=workers), 5)
    checkpoint = readable_checkpoint(last.path)
    try:
        trainer.fit(DropoutNet(**options), datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except InterruptedError:
        return None
    return torch.load(last.path, weights_only=True)


def assert_same(one: Any, two: Any) -> None:
    for key in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(one[key], two[key], rtol=0, atol=0)
    for key in ("lr_schedulers", "epoch", "global_step"):
        assert one[key] == two[key]


@pytest.mark.parametrize(
    ("workers", "options", "moments"),
    [(0, {}, [(1, 2), (3, 0)]), (2, {}, [(2, 1)]), (0, {"plateau": True}, [(2, 0), (3, 1)])],
    ids=["no workers", "workers", "plateau"],
)
def test_bit_identical(
    workers: int, options: dict[str, Any], moments: list[tuple[int, int]], tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", workers=workers, **options)
    for epoch, batch in moments:
        torch.rand(epoch + 1)  # whatever else this process draws does not matter
        assert (
            train(tmp_path / "broken", BreakOff(epoch, batch), workers=workers, **options) is None
        )
        assert (tmp_path / "broken" / "last.ckpt").is_file()
    assert_same(train(tmp_path / "broken", workers=workers, **options), whole)


def test_the_seed_matters(tmp_path: Path) -> None:
    """So that the comparison above is one: without the callback the weights differ."""
    whole = train(tmp_path / "whole")
    train(tmp_path / "broken", BreakOff(2, 1))
    path = tmp_path / "broken" / "last.ckpt"
    seed_everything("weights", 5)
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
        callbacks=[EpochCheckpoint(tmp_path / "broken", 0.0)], plugins=[AtomicCheckpointIO()],
    )  # fmt: skip
    trainer.fit(DropoutNet(), datamodule=AugmentedShapes(num_workers=0), ckpt_path=path,
                weights_only=True)  # fmt: skip
    resumed = torch.load(path, weights_only=True)
    assert resumed["epoch"] == whole["epoch"]
    with pytest.raises(AssertionError):
        assert_same(resumed, whole)


SIZE = 11


class Data(pl.LightningDataModule):
    """A loader, and hyperparameters."""

    def __init__(self, loader: Any, color: str = "red") -> None:
        super().__init__()
        self.save_hyperparameters("color")
        self.loader = loader

    def train_dataloader(self) -> Any:
        return self.loader


def test_the_loader_is_the_same_but_for_order_and_workers() -> None:
    dataset = TensorDataset(torch.arange(SIZE))
    own = DataLoader(
        dataset, batch_size=4, shuffle=True, drop_last=True, num_workers=1,
        persistent_workers=True, prefetch_factor=3, collate_fn=list,
    )  # fmt: skip
    loader = EpochSeededDataModule(Data(own), 0).train_dataloader()
    assert loader.dataset is dataset and isinstance(loader.sampler, EpochSampler)
    assert loader.sampler.sampler is own.sampler and loader.generator is loader.sampler.generator
    for name in ("batch_size", "drop_last", "num_workers", "prefetch_factor", "collate_fn"):
        assert getattr(loader, name) == getattr(own, name)
    assert not loader.persistent_workers
    assert len(loader) == len(own)


def test_batches_of_ones_own_stay() -> None:
    batches: Any = [[2, 0], [1]]
    own = DataLoader(TensorDataset(torch.arange(3)), batch_sampler=batches)
    loader = EpochSeededDataModule(Data(own), 0).train_dataloader()
    assert isinstance(loader.batch_sampler, EpochSampler)
    assert [batch.tolist() for (batch,) in loader] == batches


class Stream(IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(3))


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ([DataLoader(range(3))], "Data.train_dataloader must return one DataLoader, got a list"),  # type: ignore[arg-type]
        (DataLoader(Stream()), "The Stream of Data.train_dataloader has no length"),
        (
            DataLoader(range(4), sampler=DistributedSampler(range(4), 2, 0)),  # type: ignore
            "Data.train_dataloader returned a loader with a DistributedSampler",
        ),
    ],
)
def test_loaders_that_cannot_be_seeded(loader: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        EpochSeededDataModule(Data(loader), 0).train_dataloader()


def test_the_wrapper_is_as_its_base(tmp_path: Path) -> None:
    base = AugmentedShapes(num_workers=0)
    data = EpochSeededDataModule(base, 0)
    assert data.mean == base.mean and data.class_names == base.class_names
    assert "train_dataloader" not in vars(base), "nothing of it is replaced"
    named = EpochSeededDataModule(Data(None), 0)
    assert dict(named.hparams) == {"color": "red"}
    assert EpochSeededDataModule(named, 0).val_dataloader() == []


def test_a_training_that_was_stopped_early_stays_stopped(tmp_path: Path) -> None:
    def stop() -> pl.callbacks.EarlyStopping:
        return pl.callbacks.EarlyStopping(
            "loss", patience=0, min_delta=100, check_on_train_epoch_end=True
        )

    first = train(tmp_path, stop())
    assert first["epoch"] == 1  # of 0…3
    again = train(tmp_path, stop())
    assert_same(first, again)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", None], ids=repr)
def test_a_broken_checkpoint_is_not_taken_for_one(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    if content is None:  # cut off
        torch.save({"weights": torch.rand(1000)}, path)
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(content)
    with pytest.warns(UserWarning, match="starts from the beginning"):
        assert readable_checkpoint(path) is None
    assert not path.exists()
    assert readable_checkpoint(path) is None


def test_a_checkpoint_that_fails_to_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"epoch": 1}, path)

    class Unsavable:
        def __reduce__(self) -> Any:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        AtomicCheckpointIO().save_checkpoint({"epoch": 2, "bad": Unsavable()}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.ckpt"]
