"""Exactly the chosen pixels of every image are replaced, by what was asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import transforms as v1

from fullgrad_lightning.datamodules import ROARDataModule, ShapesDataModule
from fullgrad_lightning.stores.rank_store import IncompleteStore, RankStore
from tests.datamodules.roar.studies import (
    MEAN,
    SIZES,
    STD,
    V1_EVAL,
    V1_TRAIN,
    V2_EVAL,
    V2_TRAIN,
    base_of,
    in_order,
    masked,
    random_store,
    raw,
)

LOADERS = {"train": "train_dataloader", "val": "val_dataloader", "test": "test_dataloader"}
STYLES = {"v1": (V1_TRAIN, V1_EVAL), "v2": (V2_TRAIN, V2_EVAL)}


def pixels(images: Tensor) -> Tensor:
    """Before the normalisation, in 0…255."""
    mean, std = (torch.tensor(part)[:, None, None] for part in (MEAN, STD))
    return (images * std + mean) * 255


def naive(split: str, ranks: Tensor, count: int, value: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel by pixel: what must come out, in 0…255, and where pixels are replaced."""
    expected, where = raw(split).double(), torch.zeros(SIZES[split], 8, 8, dtype=torch.bool)
    for i in range(SIZES[split]):
        for row in range(8):
            for column in range(8):
                if ranks[i, row, column] < count:
                    expected[i, :, row, column] = value
                    where[i, row, column] = True
    return expected, where


@pytest.fixture(params=list(STYLES))
def style(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return STYLES[request.param]


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("fill", ["mean", "black"])
def test_replaced_in_all_splits_alike(
    tmp_path: Path, style: tuple[Any, Any], fill: Any, fraction: float
) -> None:
    evaluation = style[1]
    # Nothing moves, so that pixels can be compared; but PIL images are masked, nobody knows before.
    unmoved = v1.Compose([v1.RandomHorizontalFlip(0.0), V1_EVAL])
    base = base_of(unmoved if evaluation is V1_EVAL else V2_EVAL, evaluation)
    store = random_store(tmp_path, base)
    data = masked(base, store, fraction, fill=fill)
    value = torch.zeros(3).double()
    if fill == "mean":
        value = raw("train").double().mean((0, 2, 3))
        if evaluation is V1_EVAL:  # PIL images have whole numbers
            value = value.round()
    for split, loader in LOADERS.items():
        images, labels = in_order(getattr(data, loader)())
        assert labels.tolist() == list(range(SIZES[split]))
        count = round(fraction * 64)
        ranks = store.ranks(split, range(SIZES[split]))
        expected, where = naive(split, ranks, count, value)
        assert where.flatten(1).sum(1).tolist() == [count] * SIZES[split]
        assert pixels(images).double().allclose(expected, atol=1e-3)


def test_fraction_zero_is_the_original(tmp_path: Path, style: tuple[Any, Any]) -> None:
    base = base_of(*style)
    data = masked(base, random_store(tmp_path, base), 0.0)
    for loader in LOADERS.values():
        epochs = []
        for module in (base, data):
            torch.manual_seed(3)
            epochs.append([batch for _ in range(2) for batch in getattr(module, loader)()])
            epochs[-1].append(torch.rand(3))
        for own, same in zip(*epochs, strict=True):
            for a, b in zip(own, same, strict=True):
                assert a.equal(b) and a.dtype == b.dtype and type(a) is type(b)


def test_keeping_and_removing_are_complements(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    store = random_store(tmp_path, base)

    def gone(**options: Any) -> Tensor:
        data = masked(base, store, fill="black", **options)
        images = pixels(in_order(data.test_dataloader())[0])
        return (images.abs() < 1e-3).all(1) & ~(raw("test") == 0).all(1)

    removed, kept = gone(fraction=0.3), gone(fraction=0.3, remove=False)
    assert removed.logical_xor(kept).all()
    least = gone(fraction=0.7, order="least_salient")
    assert least.equal(kept)


def test_blur_and_imputation_touch_what_is_replaced_alone(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    store = random_store(tmp_path, base)
    ranks = store.ranks("test", range(SIZES["test"]))
    where = (ranks < 32)[:, None].expand(-1, 3, -1, -1)
    plain = in_order(base.test_dataloader())[0]
    for how in ("blur", "noisy_linear"):
        images = in_order(masked(base, store, 0.5, fill=how).test_dataloader())[0]
        assert images[~where].equal(plain[~where]), how
        assert (images != plain)[where].double().mean() > 0.95, how


def test_noise_is_that_of_the_seed_the_split_and_the_index(tmp_path: Path) -> None:
    base = base_of(V2_EVAL, V2_EVAL)
    same = base.datasets["val"]
    base.datasets["test"] = same
    store = random_store(tmp_path / "a", base)

    def all_gone(split: str, **options: Any) -> Tensor:
        data = masked(base, store, 1.0, fill="noisy_linear", **options)
        return in_order(getattr(data, LOADERS[split])())[0]

    first = all_gone("val")
    assert first.equal(all_gone("val"))
    base.options["batch_size"] = 1
    assert first.equal(all_gone("val")), "whatever the batch"
    for other in (all_gone("val", seed=1), all_gone("test")):
        assert not (other == first).any(1).any()
    assert not (first[0] == first[1]).any(), "each sample its own"


def test_the_mask_alone(tmp_path: Path) -> None:
    base = base_of(V1_EVAL, V2_EVAL)
    store = random_store(tmp_path, base)
    data = masked(base, store, 0.3, mask_only=True)
    images = pixels(in_order(data.train_dataloader())[0])
    expected = 255.0 * (store.ranks("train", range(24)) >= round(0.3 * 64))
    assert images.allclose(expected[:, None].expand(-1, 3, -1, -1), atol=1e-3)


def test_what_else_is_in_a_sample_passes(tmp_path: Path) -> None:
    base = ShapesDataModule(16, 20, 5, 5, batch_size=4)
    data = masked(base, random_store(tmp_path, base), 0.5)
    for own, batch in zip(base.val_dataloader(), data.val_dataloader(), strict=True):
        assert type(batch) is type(own)
        assert batch.mask.equal(own.mask) and batch.label.equal(own.label)
        changed = (batch.image != own.image).any(1).flatten(1).sum(1)
        assert (changed > 100).all() and (changed <= 128).all()


def test_the_mean_is_computed_once_and_kept(tmp_path: Path) -> None:
    base = base_of(V1_EVAL, V2_EVAL)
    store = random_store(tmp_path, base)
    first = in_order(masked(base, store).test_dataloader())[0]
    kept = tmp_path / "channel_mean.json"
    assert kept.is_file()
    content = json.loads(kept.read_text())
    assert content["mean"] == pytest.approx(raw("train").double().mean((0, 2, 3)).tolist())
    kept.write_text(json.dumps({**content, "mean": [0.0, 0.0, 0.0]}))  # shows that it is read
    changed = in_order(masked(base, store).test_dataloader())[0]
    assert not changed.equal(first)
    kept.write_text(json.dumps({"data": "of others", "mean": [0.0, 0.0, 0.0]}))
    assert in_order(masked(base, store).test_dataloader())[0].equal(first), "computed anew"


def test_without_a_store_images_can_be_estimated_only(tmp_path: Path) -> None:
    data = ROARDataModule(base_of(V2_TRAIN, V2_EVAL))
    data.setup("predict")
    assert data.splits == ("train", "val", "test") and data.sizes == SIZES
    for stage in ("fit", "validate", "test"):
        with pytest.raises(ValueError, match=r"no store of ranks.*SaliencyWriter"):
            data.setup(stage)
    with pytest.raises(RuntimeError, match="call setup"):
        data.train_dataloader()


def test_stores_of_other_images_are_refused(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    store = random_store(tmp_path / "a", base)
    other = base_of(V2_TRAIN, V2_EVAL)
    other.datasets["test"].images = other.datasets["test"].images.flip(0)
    with pytest.raises(ValueError, match=r"other images\. Their fingerprint"):
        masked(other, store)
    shorter = base_of(V2_TRAIN, V2_EVAL)
    shorter.datasets["val"].images = shorter.datasets["val"].images[:5]
    with pytest.raises(ValueError, match=r"numbers of images: .*'val': 7.*'val': 5"):
        masked(shorter, store)
    larger = base_of(V2_EVAL, V2_EVAL)
    for split, dataset in larger.datasets.items():
        dataset.images = raw(split, 10)
    with pytest.raises(ValueError, match=r"height and width: \(8, 8\) in the store, \(10, 10\)"):
        masked(larger, store)
    unfinished = RankStore.create(tmp_path / "b", sizes=SIZES, shape=(8, 8), made_from={})
    with pytest.raises(IncompleteStore):
        masked(base, unfinished)


def test_a_store_of_ones_own_needs_no_fingerprint(tmp_path: Path) -> None:
    base = base_of(V2_TRAIN, V2_EVAL)
    store = RankStore.create(tmp_path, sizes=SIZES, shape=(8, 8), made_from={"by": "hand"})
    for split, n in SIZES.items():
        store.write(split, range(n), torch.arange(64).reshape(1, 8, 8).expand(n, 8, 8))
    store.finish()
    data = masked(base, store, 0.5, fill="black")
    images = pixels(in_order(data.test_dataloader())[0])
    assert (images[:, :, :4].abs() < 1e-3).all() and images[:, :, 4:].mean() > 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 1.5}, "fraction must be"),
        ({"order": "first"}, "order must be one of"),
        ({"remove": 1}, "remove must be"),
        ({"fill": "grey"}, "fill must be one of"),
        ({"mask_only": None}, "mask_only must be"),
        ({"seed": 0.5}, "seed must be"),
        ({"prepare": torch.nn.Identity()}, "go together, but train_transform, eval_transform"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ROARDataModule(ShapesDataModule(), **options)


def test_a_base_that_is_no_data_module() -> None:
    with pytest.raises(TypeError, match="from_datasets"):
        ROARDataModule([1, 2])  # type: ignore[arg-type]
