"""ShapesDataModule: what it hands out, and that the class is where it is said to be."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fullgrad_lightning.datamodules import ShapesDataModule, ShapesDataset, ShapesSample
from fullgrad_lightning.datamodules.shapes.silhouettes import SILHOUETTES
from fullgrad_lightning.datamodules.shapes.textures import TEXTURES


def drawn(**options: Any) -> ShapesDataModule:
    data = ShapesDataModule(**{"train_size": 128, "val_size": 70, "test_size": 65, **options})
    data.setup()
    return data


def test_batches() -> None:
    data = drawn(batch_size=32)
    for loader, n in (
        (data.train_dataloader(), 128), (data.val_dataloader(), 70), (data.test_dataloader(), 65),
        (data.predict_dataloader(), 65),
    ):  # fmt: skip
        batches = list(loader)
        assert sum(len(batch.label) for batch in batches) == n
        batch = batches[0]
        assert type(batch) is ShapesSample
        assert type(batch.image) is Tensor and batch.image.dtype == torch.float32
        assert batch.image.shape == (32, 3, 32, 32)
        assert batch.label.dtype == torch.int64 and batch.label.shape == (32,)
        assert batch.mask.dtype == torch.bool and batch.mask.shape == (32, 32, 32)


def test_images_are_normalised_by_what_is_told() -> None:
    data = drawn()
    dataset = cast(ShapesDataset, data.val_set)
    mean, std = (torch.tensor(part)[:, None, None] for part in (data.mean, data.std))
    for i in (0, 40):
        pixels = dataset[i].image * std + mean
        assert (pixels * 255 - dataset.images[i]).abs().max() < 1e-3
    pixels = cast(ShapesDataset, data.train_set).images.double() / 255
    assert pixels.mean((0, 2, 3)).allclose(torch.tensor(data.mean).double(), atol=0.03)
    assert pixels.std((0, 2, 3)).allclose(torch.tensor(data.std).double(), atol=0.02)


@pytest.mark.parametrize(
    ("class_by", "names"), [("texture", tuple(TEXTURES)), ("shape", tuple(SILHOUETTES))]
)
def test_the_class_is_the_one_or_the_other(class_by: Any, names: tuple[str, ...]) -> None:
    data = ShapesDataModule(class_by=class_by)
    assert data.class_names == names and data.num_classes == 8 and data.in_channels == 3
    dataset = ShapesDataset("val", range(64), class_by=class_by)
    expected = dataset.textures if class_by == "texture" else dataset.silhouettes
    assert torch.stack([sample.label for sample in map(dataset.__getitem__, range(64))]).equal(
        expected
    )


def test_splits_and_seeds_have_no_picture_in_common() -> None:
    sets = [
        cast(ShapesDataset, part).images
        for data in (drawn(), drawn(seed=1))
        for part in (data.train_set, data.val_set, data.test_set)
    ]
    pictures = torch.cat(sets).flatten(1)
    assert len(pictures.unique(dim=0)) == len(pictures) == 2 * (128 + 70 + 65)


def test_the_same_again_however_many_are_drawn() -> None:
    few, many = drawn(train_size=20), drawn(train_size=150)
    for i in range(20):
        for a, b in zip(
            cast(ShapesDataset, few.train_set)[i], cast(ShapesDataset, many.train_set)[i],
            strict=True,
        ):  # fmt: skip
            assert a.equal(b)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    data = drawn()
    assert cast(ShapesDataset, data.val_set)[0].label is not None
    assert torch.get_rng_state().equal(before)


def test_a_stage_draws_what_it_needs_and_once() -> None:
    data = ShapesDataModule(train_size=64, val_size=64, test_size=64)
    with pytest.raises(RuntimeError, match="ShapesDataModule has no train_set yet: call setup"):
        data.train_dataloader()
    data.setup("validate")
    assert data.val_set is not None and data.train_set is None and data.test_set is None
    val = data.val_set
    data.setup("fit")
    assert data.val_set is val and data.train_set is not None and data.test_set is None
    data.setup("test")
    assert data.test_set is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 8}, "size must be an integer ≥ 16, got 8"),
        ({"train_size": 0}, "train_size must be an integer ≥ 1, got 0"),
        ({"val_size": 0.5}, "val_size must be an integer ≥ 1, got 0.5"),
        ({"test_size": True}, "test_size must be an integer ≥ 1, got True"),
        ({"class_by": "colour"}, "class_by must be one of 'texture', 'shape', got 'colour'"),
        ({"seed": "a"}, "seed must be an integer, got 'a'"),
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1, got 0"),
        ({"num_workers": -1}, "num_workers must be an integer ≥ 0, got -1"),
        ({"pin_memory": "no"}, "pin_memory must be True, False or None, got 'no'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShapesDataModule(**options)


def linear_probe(features: Tensor, labels: Tensor) -> float:
    """Accuracy, on the second half, of least squares fitted to the first."""
    x = torch.cat([features.double().flatten(1), torch.ones(len(features), 1).double()], 1)
    half = len(x) // 2
    gram = x[:half].T @ x[:half] + 10 * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, x[:half].T @ F.one_hot(labels[:half], 8).double())
    return float(((x[half:] @ weights).argmax(1) == labels[half:]).double().mean())


def test_outlines_and_surroundings_tell_the_silhouette_but_not_the_texture() -> None:
    dataset = ShapesDataset("train", range(3000))
    coarse = F.avg_pool2d(dataset.masks[:, None].double(), 2)
    chance = 0.125 + 3 * (0.125 * 0.875 / 1500) ** 0.5
    assert linear_probe(coarse, dataset.textures) < chance
    assert linear_probe(coarse, dataset.silhouettes) > 0.25, "the probe can see"
    surroundings = F.avg_pool2d((dataset.images * ~dataset.masks[:, None]).double() / 255, 4)
    assert linear_probe(surroundings, dataset.textures) < chance


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveMaxPool2d(1),
        nn.Flatten(), nn.Linear(32, 8),
    )  # fmt: skip


@pytest.mark.slow
def test_a_small_network_learns_the_texture_and_looks_at_the_object() -> None:
    torch.manual_seed(0)
    data = ShapesDataModule(train_size=1500, val_size=256, batch_size=50)
    data.setup("fit")
    network = small_network()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(3):
        for image, label, _ in data.train_dataloader():
            optimizer.zero_grad()
            F.cross_entropy(network(image), label).backward()
            optimizer.step()
    network.eval()
    dataset = cast(ShapesDataset, data.val_set)
    image, label, mask = (torch.stack(part) for part in zip(*dataset, strict=False))
    with torch.no_grad():
        seen = (network(image) == network(image).amax(1, keepdim=True))[range(256), label]
        hidden = network(image.masked_fill(mask[:, None], 0.0)).argmax(1) == label
    assert seen.double().mean() > 0.5
    assert hidden.double().mean() < 0.25, "without the object the class is gone"
