"""The loaders are like the user's own, but for the pixels."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from jsonargparse import ArgumentParser
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
    get_worker_info,
)

from fullgrad_lightning.datamodules import ROARDataModule
from fullgrad_lightning.datamodules.dataloaders import replace_dataset
from fullgrad_lightning.stores.rank_store import RankStore
from tests.datamodules.roar.studies import (
    SIZES,
    V2_EVAL,
    V2_TRAIN,
    Base,
    Pictures,
    base_of,
    in_order,
    masked,
    random_store,
    raw,
)


def collate(items: list[Any]) -> tuple[Tensor, Tensor, int]:
    worker = get_worker_info()
    images, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(labels), -1 if worker is None else worker.id


def seed_worker(worker: int) -> None:
    torch.manual_seed(worker)


class Pairs(BatchSampler):
    """A batch sampler of the user's own."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from ([i, i + 1] for i in range(0, 24, 2))


def test_options_are_those_of_the_users_loader() -> None:
    dataset, other = Pictures(raw("train"), V2_EVAL), Pictures(raw("train"), V2_EVAL)
    sampler = WeightedRandomSampler([1.0] * 24, 12)
    own = DataLoader(
        dataset, 4, sampler=sampler, drop_last=True, collate_fn=collate, num_workers=1,
        pin_memory=True, timeout=3, worker_init_fn=seed_worker, generator=torch.Generator(),
        prefetch_factor=3, persistent_workers=True, multiprocessing_context="spawn",
        in_order=False,
    )  # fmt: skip
    again = replace_dataset(own, other)
    assert again.dataset is other and again.batch_sampler is not own.batch_sampler
    for name in (
        "batch_size", "sampler", "drop_last", "collate_fn", "num_workers", "pin_memory", "timeout",
        "worker_init_fn", "generator", "prefetch_factor", "persistent_workers",
        "multiprocessing_context", "in_order",
    ):  # fmt: skip
        assert getattr(again, name) is getattr(own, name), name
    pairs = DataLoader(dataset, batch_sampler=Pairs(SequentialSampler(dataset), 2, False))
    assert replace_dataset(pairs, other).batch_sampler is pairs.batch_sampler
    missing = set(vars(own)) - {k for k in vars(own) if k.startswith("_")} - {"dataset"}
    assert missing <= {
        "batch_size", "sampler", "drop_last", "collate_fn", "num_workers", "pin_memory", "timeout",
        "worker_init_fn", "generator", "prefetch_factor", "persistent_workers", "in_order",
        "batch_sampler", "pin_memory_device",
    }, "an option of DataLoader that is not passed on"  # fmt: skip


def test_workers_share_the_store_and_hand_out_the_same(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL, collate_fn=collate)
    store = random_store(tmp_path, base)
    alone = in_order(masked(base, store).train_dataloader())
    base.options["num_workers"] = 2
    loader = masked(base, store).train_dataloader()
    assert {batch[2] for batch in loader} == {0, 1}
    for a, b in zip(alone, in_order(loader), strict=True):
        assert a.equal(b)


def test_what_workers_get_can_be_pickled(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    dataset = (
        masked(base, random_store(tmp_path, base), fill="noisy_linear").val_dataloader().dataset
    )
    copy = pickle.loads(pickle.dumps(dataset))
    for i in range(len(dataset)):
        assert copy[i][0].equal(dataset[i][0])


def test_one_by_one_as_in_batches(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    dataset = masked(base, random_store(tmp_path, base), fill="blur").test_dataloader().dataset
    together = dataset.__getitems__([3, 1, 8])
    for index, (image, label) in zip([3, 1, 8], together, strict=True):
        assert label == index and dataset[index][0].equal(image)


def test_shuffling_follows_the_global_seed_and_epochs_differ(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    data = masked(base, random_store(tmp_path, base))
    assert type(data.train_dataloader().sampler) is RandomSampler
    orders = []
    for module in (base, data):
        torch.manual_seed(5)
        loader = module.train_dataloader()
        orders.append([torch.cat([labels for _, labels in loader]) for _ in range(2)])
    assert all(a.equal(b) for a, b in zip(*orders, strict=True))
    assert not orders[0][0].equal(orders[0][1])


def test_prediction_goes_through_all_samples_without_augmentation() -> None:
    base = base_of(V2_TRAIN, V2_EVAL, drop_last=True)
    data = ROARDataModule(base)
    data.setup("predict")
    loaders = data.predict_dataloader()
    assert len(loaders) == 3
    for split, loader in zip(data.splits, loaders, strict=True):
        indices = torch.cat([indices for indices, _ in loader])
        assert indices.tolist() == list(range(SIZES[split])) and indices.dtype == torch.int64
        images = torch.cat([images for _, (images, _) in loader])
        plain, _ = in_order(DataLoader(Pictures(raw(split), V2_EVAL), 5))
        assert images.equal(plain), "as evaluation sees them, training images too"


def test_only_the_rows_that_are_missing() -> None:
    data = ROARDataModule(base_of(V2_TRAIN, V2_EVAL))
    data.setup("predict")
    data.only_rows({"train": torch.tensor([22, 3]), "test": []})  # type: ignore[dict-item]
    found = [
        [i for indices, (_, labels) in loader for i in indices.tolist()]
        for loader in data.predict_dataloader()
    ]
    assert found == [[22, 3], list(range(7)), []]


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield from range(3)


class Endless(DataLoader[Any]):
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (lambda own: [own, own], "must return one DataLoader, got a list"),
        (lambda own: {"a": own}, "must return one DataLoader, got a dict"),
        (lambda own: DataLoader(Stream()), "The Stream of Base.val_dataloader has no length"),
        (lambda own: Endless(own.dataset), "a Endless, whose own __iter__ would be lost"),
        (lambda own: DataLoader(own.dataset, batch_size=None), "set batch_size"),
    ],
)
def test_loaders_that_are_refused(loader: Any, message: str) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    wrapped = loader(base.val_dataloader())
    base.val_dataloader = lambda: wrapped  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=message):
        ROARDataModule(base).setup("predict")


class WithoutTest(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(Pictures(raw("train"), V2_TRAIN), 4)

    def val_dataloader(self) -> Any:
        return []


def test_splits_are_those_that_base_has(tmp_path: Path) -> None:
    base = WithoutTest()
    data = ROARDataModule(base, tmp_path)
    with pytest.raises(ValueError, match="transform of validation and test images is random"):
        data.setup("predict")
    base.train_dataloader = lambda: DataLoader(Pictures(raw("train"), V2_EVAL), 4)  # type: ignore
    data = masked(base, random_store(tmp_path, base))
    assert data.splits == ("train",) and data.val_dataloader() == []
    with pytest.raises(ValueError, match="WithoutTest has no test data"):
        data.test_dataloader()
    with pytest.raises(ValueError, match="has no training data"):
        ROARDataModule(pl.LightningDataModule()).setup("predict")


def test_other_samples_than_in_setup_are_refused(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    data = masked(base, random_store(tmp_path, base))
    base.datasets["train"] = Pictures(raw("train"), V2_TRAIN)  # made anew: the same samples
    data.train_dataloader()
    base.datasets["train"] = Pictures(raw("train").flip(0), V2_TRAIN)
    with pytest.raises(ValueError, match="other samples than it had in setup"):
        data.train_dataloader()


def test_from_yaml_and_back(tmp_path: Path) -> None:
    base = """{class_path: fullgrad_lightning.datamodules.ShapesDataModule,
               init_args: {train_size: 64, val_size: 64, test_size: 64}}"""
    v2 = "torchvision.transforms.v2"
    crop = f"{{class_path: {v2}.CenterCrop, init_args: {{size: 24}}}}"
    compose = f"{{class_path: {v2}.Compose, init_args: {{transforms: [{crop}]}}}}"
    steps = "".join(f", {name}: {compose}" for name in
                    ("prepare", "train_transform", "eval_transform"))  # fmt: skip
    yaml = f"""data:
  class_path: fullgrad_lightning.datamodules.ROARDataModule
  init_args: {{base: {base}, store: {tmp_path}, fraction: 0.5, fill: black, remove: false{steps}}}
"""
    parser = ArgumentParser()
    parser.add_subclass_arguments(pl.LightningDataModule, "data")
    configuration = parser.parse_string(yaml)
    assert parser.parse_string(parser.dump(configuration)) == configuration
    data = parser.instantiate(configuration).data
    assert isinstance(data, ROARDataModule) and not data.selection.remove
    data.setup("predict")
    assert data.image_shape == (3, 24, 24) and data.num_classes == 8
    RankStore.create(tmp_path, sizes=data.sizes, shape=(24, 24), made_from={})
    with pytest.raises(ValueError, match="not complete"):
        data.setup("fit")


def test_what_is_known_of_base(tmp_path: Path) -> None:
    data = ROARDataModule(Base({}))
    assert not hasattr(data, "mean")
    data.base.mean = (0.1, 0.2, 0.3)
    assert data.mean == (0.1, 0.2, 0.3)
    with pytest.raises(AttributeError, match="'ROARDataModule' object has no attribute 'colour'"):
        data.colour  # noqa: B018
