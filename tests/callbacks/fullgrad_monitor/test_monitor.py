"""FullGradMonitor: what it logs, of which samples, and where."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

import fullgrad_lightning as fgl
from fullgrad_lightning.callbacks.fullgrad_monitor.monitor import FullGradMonitor
from tests.callbacks.training import data, loader, module, trainer

ALWAYS = {"residual_mean", "residual_max", "coverage"} | {
    f"share_{kind}"
    for kind in (
        "input", "parameter", "normalization", "nonlinearity", "product", "constant",
        "not_localized",
    )
}  # fmt: skip


class Masked(NamedTuple):
    image: Tensor
    label: Tensor
    mask: Tensor


class WithMasks(Dataset[Masked]):
    """The quadrant that the label names is the object."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, i: int) -> Masked:
        image, label = data(12)[i]
        mask = torch.zeros(image.shape[1:], dtype=torch.bool)
        y, x = divmod(int(label), 2)
        mask[y * 4 : y * 4 + 4, x * 4 : x * 4 + 4] = True
        return Masked(image, label, mask)


def fit(root: Path, monitor: FullGradMonitor, val: Any = None, **options: Any) -> Any:
    run = trainer(root, monitor, **options)
    run.fit(module(), loader(40), loader() if val is None else val)
    return run


def numbers(run: Any) -> dict[str, float]:
    found = run.callback_metrics.items()
    return {
        key.removeprefix("fullgrad/"): float(v) for key, v in found if key.startswith("fullgrad/")
    }


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0}).Reload()


def test_scalars_and_images_in_tensorboard(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, name="", version="run")
    monitor = FullGradMonitor(3, methods=["gradcam"], layer_maps=True)
    fit(tmp_path, monitor, logger=logger, max_epochs=3, log_every_n_steps=1)
    found = events(tmp_path / "run")
    steps = [event.step for event in found.Scalars("val/loss")]
    assert len(steps) == 3
    logged = {tag.removeprefix("fullgrad/") for tag in found.Tags()["scalars"] if "fullgrad" in tag}
    assert logged == ALWAYS | {"drift"}
    for name in ALWAYS:
        assert [event.step for event in found.Scalars(f"fullgrad/{name}")] == steps
    assert [event.step for event in found.Scalars("fullgrad/drift")] == steps[1:]
    assert all(event.value < 1e-5 for event in found.Scalars("fullgrad/residual_max"))
    shares = [found.Scalars(f"fullgrad/{name}")[-1].value for name in ALWAYS if "share" in name]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    for name in ("samples", "layers"):
        images = found.Images(f"fullgrad/{name}")
        assert [event.step for event in images] == steps
        assert len({event.encoded_image_string for event in images}) == 3  # it learns
    (film,) = found.Images("fullgrad/film_strip")
    assert film.step >= steps[-1]
    with Image.open(tmp_path / "run" / "fullgrad" / "film_strip.png") as strip:
        assert strip.width == film.width >= 400 and strip.height == film.height


def test_the_docstring_names_every_key() -> None:
    table = set(re.findall(r"``fullgrad/([a-z_<>]+)``", FullGradMonitor.__doc__ or ""))
    kinds = {name for name in ALWAYS if name.startswith("share_")}
    assert table - {"share_<kind>"} | kinds == ALWAYS | {
        "drift", "pointing_game", "energy_inside", "samples", "layers", "film_strip",
    }  # fmt: skip


def test_numbers_are_those_of_the_public_functions(tmp_path: Path) -> None:
    monitor = FullGradMonitor(indices=range(5), target="label", residual_samples=20)
    run = trainer(tmp_path, monitor, precision="64-true")
    model = module().double()
    run.validate(model, DataLoader(WithMasks(), 5), verbose=False)
    batch = [WithMasks()[i] for i in range(12)]
    x = torch.stack([sample.image for sample in batch]).double()
    labels = torch.stack([sample.label for sample in batch])
    masks = torch.stack([sample.mask for sample in batch])
    budget = fgl.attribution_budget(model, x, labels)
    got = numbers(run)
    assert got["residual_max"] <= 1e-12
    for kind, share in budget.share_by_kind().items():
        assert got[f"share_{kind}"] == pytest.approx(float(share.mean()), rel=1e-6)
    method = fgl.FullGrad()
    maps = method(model, x[:5], labels[:5])
    coverage = method.coverage(model, x[:5], labels[:5]).mean()
    assert got["coverage"] == pytest.approx(float(coverage), rel=1e-6)
    inside = (maps * masks[:5, None]).sum((1, 2, 3)) / maps.sum((1, 2, 3))
    assert got["energy_inside"] == pytest.approx(float(inside.mean()), rel=1e-6)
    hits = [bool(masks[i].flatten()[maps[i].argmax()]) for i in range(5)]
    assert got["pointing_game"] == pytest.approx(sum(hits) / 5)


def watched(monitor: FullGradMonitor, stage: str = "fullgrad") -> dict[str, Tensor]:
    samples: dict[str, Tensor] = monitor.state_dict()["watched"][stage]["samples"]
    return samples


def test_a_shuffled_loader_or_a_resumed_run_does_not_change_the_samples(tmp_path: Path) -> None:
    torch.manual_seed(3)
    first = FullGradMonitor(4)
    run = fit(tmp_path, first, loader(shuffle=True), max_epochs=2)
    chosen = watched(first)["inputs"]
    logged_until = first.state_dict()["watched"]["fullgrad"]["film"]["steps"]
    run.save_checkpoint(tmp_path / "stopped.ckpt")
    second = FullGradMonitor(4)
    again = trainer(tmp_path, second, max_epochs=3, logger=CSVLogger(tmp_path))
    again.fit(module(), loader(40), loader(shuffle=True), ckpt_path=tmp_path / "stopped.ckpt")
    assert torch.equal(watched(second)["inputs"], chosen) and chosen.device.type == "cpu"
    film = second.state_dict()["watched"]["fullgrad"]["film"]
    assert film["steps"] == [*logged_until, 14] == [4, 9, 14]
    assert 0 <= numbers(again)["drift"] <= 2  # of the map before the stop
    other = FullGradMonitor(4, method="input_gradient")
    last = trainer(tmp_path, other, max_epochs=3)
    last.fit(module(), loader(40), loader(), ckpt_path=tmp_path / "stopped.ckpt")
    assert "drift" not in numbers(last)  # maps of two methods are not compared


def test_the_format_of_checkpoints(tmp_path: Path) -> None:
    """State of earlier versions is loaded: its keys, and the values that must agree."""
    monitor = FullGradMonitor(2)
    fit(tmp_path, monitor, max_epochs=1)
    assert monitor.state_key == (
        "FullGradMonitor{'method': 'fullgrad', 'postprocess': None, 'target': 'predicted', "
        "'dataloader_idx': 0}"
    )
    state = monitor.state_dict()
    assert state.keys() == {"explained_by", "chosen_by", "watched"}
    assert state["chosen_by"] == "2"
    assert state["explained_by"] == (
        "(FullGrad(postprocess='paper', sites=None, interpolation='bilinear', "
        "multiply_by_input=True, placement=None), 'predicted')"
    )
    assert state["watched"].keys() == {"fullgrad", "fullgrad_test"}
    kept = state["watched"]["fullgrad"]
    assert kept.keys() == {"samples", "maps", "film", "last_epoch"} and kept["last_epoch"] == 0
    assert kept["samples"].keys() == {"positions", "inputs", "labels", "masks"}
    assert kept["film"].keys() == {"frames", "epochs", "steps", "numbers", "stride", "count"}
    again = FullGradMonitor(2)
    again.load_state_dict(state)
    assert str(again.state_dict()) == str(state)


def test_indices_and_limits(tmp_path: Path) -> None:
    images = torch.stack([image for image, _ in data(24, 1)])
    chosen = FullGradMonitor(indices=[17, 2])
    fit(tmp_path, chosen, max_epochs=1)
    assert torch.equal(watched(chosen)["inputs"], images[[17, 2]])
    spread = FullGradMonitor(5)
    fit(tmp_path, spread, max_epochs=1)
    assert torch.equal(watched(spread)["inputs"], images[[0, 4, 9, 14, 19]])
    few = FullGradMonitor(12)
    run = fit(tmp_path, few, limit_val_batches=1, max_epochs=2)
    assert torch.equal(watched(few)["inputs"], images[:8]) and "drift" in numbers(run)
    with pytest.raises(ValueError, match="up to 24, but the data set has 24 samples"):
        fit(tmp_path, FullGradMonitor(indices=[24]))
    with pytest.raises(ValueError, match=r"dataloader_idx=1 .* only 1 loaders"):
        fit(tmp_path, FullGradMonitor(dataloader_idx=1))


def test_two_monitors(tmp_path: Path) -> None:
    """Of two loaders both log, under keys of their own; of one loader a second is refused."""
    pair = [FullGradMonitor(2), FullGradMonitor(3, dataloader_idx=1, method="gradcam")]
    run = trainer(tmp_path, *pair, max_epochs=1)
    run.fit(module(), loader(16), [loader(8), loader(8, seed=3)])
    keys = [key for key in run.callback_metrics if key.startswith("fullgrad/residual_max")]
    assert sorted(keys) == [f"fullgrad/residual_max/dataloader_idx_{i}" for i in (0, 1)]
    assert [len(watched(monitor)["inputs"]) for monitor in pair] == [2, 3]
    films = {path.name for path in (tmp_path / "fullgrad").glob("film_strip*.png")}
    assert {"film_strip.png", "film_strip_1.png"} <= films
    rivals = trainer(tmp_path, FullGradMonitor(2), FullGradMonitor(2, method="gradcam"))
    with pytest.raises(ValueError, match="under the same keys"):
        rivals.fit(module(), loader(16), loader(8))


def test_a_loader_without_a_length(tmp_path: Path) -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter([data(10)[i] for i in range(10)])

    monitor = FullGradMonitor(4)
    run = fit(tmp_path, monitor, DataLoader(Stream(), 4))
    assert len(watched(monitor)["inputs"]) == 4 and "drift" in numbers(run)


@pytest.mark.parametrize(
    ("options", "every", "epochs"),
    [({}, 2, [0, 2, 4]), ({"check_val_every_n_epoch": 2}, 2, [1, 3]), ({}, 10, [0])],
)
def test_every_n_epochs(
    tmp_path: Path, options: dict[str, int], every: int, epochs: list[int]
) -> None:
    monitor = FullGradMonitor(2, every_n_epochs=every)
    fit(tmp_path, monitor, max_epochs=5, **options)
    assert monitor.state_dict()["watched"]["fullgrad"]["film"]["epochs"] == epochs


def test_on_incomplete(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    """A tolerance that no float32 network can hold stands for a fault."""
    strict = {"tolerance": 1e-12}
    run = trainer(tmp_path, FullGradMonitor(2, **strict, on_incomplete="error"))
    with pytest.raises(fgl.IncompleteDecomposition, match="tolerance 1e-12"):
        run.fit(module(), loader(16), loader(8))
    assert run.global_step == 0  # the sanity check found it
    fit(tmp_path, FullGradMonitor(2, **strict, on_incomplete="ignore"))
    assert not [w for w in recwarn if issubclass(w.category, fgl.IncompleteDecomposition)]
    with pytest.warns(fgl.IncompleteDecomposition, match="tolerance 1e-12"):
        fit(tmp_path, FullGradMonitor(2, **strict))


def test_a_network_whose_output_is_nan_is_reported_and_does_not_end_the_training(
    tmp_path: Path,
) -> None:
    model = module()
    with torch.no_grad():
        model.net[-1].weight.fill_(torch.nan)
    run = trainer(tmp_path, FullGradMonitor(2), logger=CSVLogger(tmp_path))
    with pytest.warns(fgl.IncompleteDecomposition, match="residual nan"):
        run.fit(model, loader(16), loader(8))
    assert run.current_epoch == 2


def test_targets(tmp_path: Path) -> None:
    model = module()
    batch = next(iter(loader(8)))
    with torch.no_grad():
        predicted = model.eval()(batch[0]).argmax(1)
    for target, expected in (("predicted", predicted), ("label", batch[1]), (2, 2)):
        monitor = FullGradMonitor(8, target=target)
        trainer(tmp_path, monitor).validate(model, loader(8), verbose=False)
        maps = monitor.state_dict()["watched"]["fullgrad"]["maps"]
        torch.testing.assert_close(maps, fgl.FullGrad()(model, batch[0], expected))
