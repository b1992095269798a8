"""SaliencyWriter: which ranks it writes, what it says of them, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import torch
import yaml
from torch import Tensor

from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
from fullgrad_lightning.cli import main
from fullgrad_lightning.models import SaliencyPredictor
from fullgrad_lightning.stores.base import StoreMismatch
from fullgrad_lightning.stores.rank_store import RankStore
from tests.callbacks.estimating import SHAPE, SIZES, contents, estimate, images, predictor
from tests.callbacks.training import loader, module, trainer


def maps_of(predictor: SaliencyPredictor, split: str) -> Tensor:
    """The maps of a split, (n, H, W), each made alone, outside a Trainer."""
    data = images()
    data.setup("predict")
    rows = data.predict_dataloader()[data.splits.index(split)].dataset
    maps = []
    for row in range(len(rows)):
        number, (image, *_) = rows[row]
        x = image[None].double()
        maps.append(predictor.explained((torch.tensor([number]), x), split)["saliency"][0, 0])
    return torch.stack(maps)


@pytest.mark.parametrize("method", ["fullgrad", "random"])
def test_the_ranks_are_those_of_the_maps(method: str, tmp_path: Path) -> None:
    estimate(tmp_path / "store", module=predictor(method))
    store = RankStore.open(tmp_path / "store")
    assert store.complete and store.sizes == SIZES and store.shape == SHAPE
    for split, n in SIZES.items():
        ranks = store.ranks(split, range(n)).flatten(1)
        assert ranks.sort(1).values.equal(torch.arange(ranks.shape[1]).int().expand(n, -1))
        maps = maps_of(predictor(method).double(), split).flatten(1)
        in_order = maps.gather(1, ranks.long().argsort(1))  # the most salient first
        assert (in_order.diff(dim=1) <= 1e-12 * maps.amax(1, keepdim=True)).all()


def test_equally_salient_pixels_are_spread_and_follow_the_seed(tmp_path: Path) -> None:
    class Constant(SaliencyPredictor):
        def explained(self, batch: Any, split: str) -> dict[str, Tensor]:
            found = super().explained(batch, split)
            return {**found, "saliency": torch.zeros_like(found["saliency"])}

    stores = {}
    for name, seed, batch in (("a", 0, 3), ("b", 0, 5), ("c", 1, 3)):
        run = trainer(tmp_path, SaliencyWriter(tmp_path / name, seed=seed))
        run.predict(Constant(module().net, "random"), datamodule=images(batch_size=batch))
        stores[name] = contents(tmp_path / name)
    assert stores["a"] == stores["b"]
    assert all(stores["a"][file] != stores["c"][file] for file in stores["a"])
    first = RankStore.open(tmp_path / "a").ranks("train", [0, 1])
    top = first[0] < 64  # a quarter of them: in a corner, that would be its 8 × 8 pixels
    assert all(8 <= int(part.sum()) <= 24 for half in top.split(8, 0) for part in half.split(8, 1))
    assert not first[0].equal(first[1])


def test_the_manifest_tells_what_the_maps_were_made_from(tmp_path: Path) -> None:
    model, data = predictor("smoothgrad", target=1, seed=3), images()
    estimate(tmp_path / "store", module=model, data=data)
    found = json.loads((tmp_path / "store" / "manifest.json").read_text())["made_from"]
    assert found["method"] == "smoothgrad" and found["method_options"]["n_samples"] == 25
    assert found["target"] == 1 and found["seed"] == 3 and found["ties"] == 0
    assert found["checkpoint"] == predictor().made_from["checkpoint"]
    assert found["data"] == data.fingerprint and found["precision"] == "64-true"
    assert found["versions"].keys() == {"fullgrad_lightning"}


OTHERS: dict[str, dict[str, Any]] = {
    "made_from.method ": {"module": lambda: predictor("gradcam")},
    "method_options.postprocess": {
        "module": lambda: predictor(method_options={"postprocess": "abs"})
    },
    "made_from.target": {"module": lambda: predictor(target=1)},
    "made_from.seed": {"module": lambda: predictor(seed=1)},
    "made_from.checkpoint": {"module": lambda: SaliencyPredictor(module().net)},
    "made_from.data": {"data": lambda: images(seed=1)},
    "sizes.train": {"data": lambda: images(train_size=13)},
    "shape": {"data": lambda: images(size=18)},
    "made_from.precision": {"precision": "32-true"},
}


@pytest.mark.filterwarnings("ignore:.*is not complete")
@pytest.mark.parametrize("differs", OTHERS)
def test_a_store_of_something_else_is_refused(differs: str, tmp_path: Path) -> None:
    estimate(tmp_path / "store", limit_predict_batches=1)
    before = contents(tmp_path / "store")
    options = {k: v() if callable(v) else v for k, v in OTHERS[differs].items()}
    with pytest.raises(StoreMismatch, match=differs):
        estimate(tmp_path / "store", **options)
    assert contents(tmp_path / "store") == before


def test_maps_that_are_not_finite_are_named(tmp_path: Path) -> None:
    class Broken(SaliencyPredictor):
        def explained(self, batch: Any, split: str) -> dict[str, Tensor]:
            found = super().explained(batch, split)
            if split == "val":
                found["saliency"][found["index"] == 4, 0, 2, 3] = float("nan")
                found["saliency"][found["index"] == 3, 0, 0, 0] = float("inf")
            return found

    broken = Broken(module().net, "input_gradient")
    with pytest.raises(ValueError, match="maps of rows 3, 4 of split 'val' hold NaN or infinity"):
        estimate(tmp_path / "store", module=broken)
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text())
    known = {key: manifest[key] for key in ("sizes", "shape", "made_from")}
    store = RankStore.create(tmp_path / "store", **known)
    assert not len(store.missing("train")) and store.missing("val").tolist() == [3, 4]


def test_another_module_or_other_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"predicts saliency maps.*SaliencyPredictor\(model"):
        estimate(tmp_path / "store", module=module().double())
    run = trainer(tmp_path, SaliencyWriter(tmp_path / "store"))
    with pytest.raises(TypeError, match=r"rows have numbers, got none.*datamodule=ROARDataModule"):
        run.predict(predictor(), loader())

    class Logits(SaliencyPredictor):
        def explained(self, batch: Any, split: str) -> Any:
            return self(batch[1][0])

    with pytest.raises(TypeError, match=r"'index', .*'saliency'.*got tensor \(3, 4\) of float64"):
        estimate(tmp_path / "store", module=Logits(module().net))
    with pytest.raises(ValueError, match=r"seed must be an integer, got '1'"):
        SaliencyWriter(tmp_path / "store", seed="1")  # type: ignore[arg-type]


def test_predictions_are_not_kept(tmp_path: Path) -> None:
    run = trainer(tmp_path, SaliencyWriter(tmp_path / "store"))
    assert run.predict(predictor("random"), datamodule=images(), return_predictions=True) is None
    assert run.predict_loop.predictions == []


def test_fast_dev_run_leaves_nothing(tmp_path: Path) -> None:
    assert len(estimate(tmp_path / "store", fast_dev_run=True)) == 9  # a batch of each split
    assert not (tmp_path / "store").exists()


def test_in_the_other_namespace(tmp_path: Path) -> None:
    """A Trainer of `lightning` takes modules and data modules of its own alone."""

    class Predictor(lightning.pytorch.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.wrapped = predictor()
            self.made_from = self.wrapped.made_from

        def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
            return self.wrapped.explained(batch, self.trainer.datamodule.splits[dataloader_idx])

    class Data(lightning.pytorch.LightningDataModule):
        def __init__(self) -> None:
            super().__init__()
            self.wrapped = images()

        def setup(self, stage: str) -> None:
            self.wrapped.setup(stage)

        def predict_dataloader(self) -> Any:
            return self.wrapped.predict_dataloader()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["wrapped"], name)

    estimate(tmp_path / "one")
    run = trainer(
        tmp_path, SaliencyWriter(tmp_path / "other"), lightning=lightning.pytorch,
        precision="64-true",
    )  # fmt: skip
    assert run.predict(Predictor(), datamodule=Data()) is None
    assert contents(tmp_path / "other") == contents(tmp_path / "one")
    assert RankStore.open(tmp_path / "other").complete


def test_fullgrad_predict_from_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    classifier = {"num_classes": 8, "model_options": {"width": 2}}
    configuration = {
        "seed_everything": 1,
        "model": {
            "class_path": "SaliencyPredictor",
            "init_args": {
                "model": {"class_path": "ImageClassifier", "init_args": classifier},
                "method": "gradcam",
            },
        },
        "data": {
            "class_path": "ROARDataModule",
            "init_args": {
                "base": {
                    "class_path": "ShapesDataModule",
                    "init_args": {f"{split}_size": n for split, n in SIZES.items()},
                },
            },
        },
        "trainer": {
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "logger": False,
            "callbacks": [{"class_path": "SaliencyWriter", "init_args": {"store": "maps"}}],
        },
    }
    (tmp_path / "maps.yaml").write_text(yaml.safe_dump(configuration))
    assert main(["predict", "--config", "maps.yaml"]) == 0
    store = RankStore.open(tmp_path / "maps")
    assert store.sizes == SIZES and store.made_from["method"] == "gradcam"
