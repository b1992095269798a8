"""Runs ``fullgrad perturb``: ranks, then scores, method by method, each only where missing."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback, TQDMProgressBar

from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
from fullgrad_lightning.datamodules.indexed_batches import read_indexed_batch
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.components import Components
from fullgrad_lightning.evaluation.config import MethodSpec, config_errors
from fullgrad_lightning.evaluation.perturbation.config import PerturbationConfig
from fullgrad_lightning.evaluation.perturbation.curve_predictor import (
    CurvePredictor,
    CurveWriter,
    open_curve_store,
)
from fullgrad_lightning.evaluation.perturbation.example_images import write_examples
from fullgrad_lightning.evaluation.perturbation.report import write_report
from fullgrad_lightning.evaluation.perturbation.report.results import (
    PerturbationResults,
    ScoreCurves,
)
from fullgrad_lightning.evaluation.perturbation.scores import Score
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.functional.perturbed_logits import logits_for_masks, resolve_classes
from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
from fullgrad_lightning.stores.curve_store import CurveStore
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.utilities.locks import folder_lock

# Beginnings of warnings that each prediction would repeat. Those of methods and networks are shown.
_REPEATED_WARNINGS = (
    ".*does not have many workers",
    ".*LeafSpec.* is deprecated",
    "GPU available but not used",
)


def run_benchmark(config: PerturbationConfig, components: Components) -> str:
    """Runs a benchmark, or the part of it that is not done, on all devices of its Trainer.

    ======================== ===================================================================
    in the folder ``output`` content
    ======================== ===================================================================
    ranks/<method>/          a ``RankStore``: the order of the pixels of all images
    scores.sqlite            the scores of all images, see ``CurveStore``
    report/table.md          means, intervals, areas
    report/results.csv       a row for each score, curve, method and fraction
    report/perturbation.png  Figure 2a of the paper, and the other order; as SVG too; and so for
                             insertion_deletion and road
    report/examples.png      a few images without their least and most salient pixels
    ======================== ===================================================================

    After a kill, the same call resumes: each process loses a batch at most.

    Returns:
        The text to print; empty in all processes but the first.

    Raises:
        ConfigError: Options, data, network or methods are wrong, as far as two images show;
            nothing has been computed.
        StoreMismatch: The folder holds a benchmark with another configuration.
        FolderInUse: Another process runs a benchmark in it.
    """
    folder = Path(config.output)
    # Lightning starts the processes of the other devices, which run this function too.
    with nullcontext() if getattr(rank_zero_only, "rank", 0) else folder_lock(folder):
        return _run(config, components, folder)


def _run(config: PerturbationConfig, components: Components, folder: Path) -> str:
    data = IndexedSplitDataModule(components.data, config.split, samples=config.samples)
    predictions = _Predictions(config, components, data, folder)
    with config_errors():
        data.prepare_data()
        data.setup("predict")
        predictions.check()
    scores = config.make_scores(data.normalization)
    curves = {score.name: ScoreCurves(score.levels) for score in scores}
    size = data.sizes[config.split]
    results = PerturbationResults(size, len(config.specs), config.fill, curves)
    text, ranks = "", {}
    for spec in config.specs:
        ranks[spec.name] = predictions.ranks(spec)
        for score in scores:
            stored = predictions.scores(spec, score, ranks[spec.name])
            if predictions.is_first:
                curves[score.name].by_method[spec.name] = stored.read()
        if predictions.is_first:  # after each method, so that a long benchmark can be followed
            examples = folder / "report" / "examples.png"
            text = write_report(results, examples.parent)
            text += f"\n\nImages without some of their pixels:\n  {examples}"
            write_examples(
                examples, data, ranks,
                fraction=config.fractions[-1], fill=config.fill, seed=config.seed,
                normalization=scores[0].normalization,
            )  # fmt: skip
    return text


@dataclass
class _Predictions:
    """Predictions on the devices of a benchmark, whose data is set up before the first one."""

    config: PerturbationConfig
    components: Components
    data: IndexedSplitDataModule
    folder: Path
    is_first: bool = True  # writes the report; valid after the first prediction

    def check(self) -> None:
        """Runs the network and explains two images by each method."""
        loader = self.data.predict_dataloader()[0]
        dataset = loader.dataset
        two = min(2, self.data.sizes[self.data.split])
        batch = loader.collate_fn([dataset[i] for i in range(two)])
        _, images, target = read_indexed_batch(batch, self.config.target)
        nothing = torch.zeros_like(images[:, 0], dtype=torch.bool)
        logits = logits_for_masks(self.components.model, images, [nothing], PixelReplacer())
        resolve_classes(logits[0], target)
        for spec in self.config.specs:
            self._predictor(spec).explained(batch, self.data.split)

    def ranks(self, spec: MethodSpec) -> RankStore:
        """The ranks of the pixels of all images by a method."""
        folder = self.folder / "ranks" / spec.name
        writer = SaliencyWriter(folder, seed=self.config.seed)
        self._predict(self._predictor(spec), writer, f"{spec.name}: maps")
        return RankStore.open(folder)

    def scores(self, spec: MethodSpec, score: Score, ranks: RankStore) -> CurveStore:
        """The scores of all images."""
        path, series = self.folder / "scores.sqlite", f"{spec.name}/{score.name}"
        target, seed = self.config.target, self.config.seed
        predictor = CurvePredictor(self.components.model, score, ranks, target=target, seed=seed)
        self._predict(predictor, CurveWriter(path, series), f"{spec.name}: {score.name}")
        return open_curve_store(path, series, score, ranks, target)

    def _predictor(self, spec: MethodSpec) -> SaliencyPredictor:
        target, seed = self.config.target, self.config.seed
        model = self.components.model
        return SaliencyPredictor(model, spec.method, spec.options, target=target, seed=seed)

    def _predict(self, module: pl.LightningModule, writer: Callback, name: str) -> None:
        options = self.components.trainer
        callbacks = options.get("callbacks") or []
        shows_bar = options.get("enable_progress_bar") is not False
        bar = [_NamedProgressBar(name)] if shows_bar else []
        with suppress_lightning_messages(_REPEATED_WARNINGS):
            trainer = pl.Trainer(
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                default_root_dir=self.folder,
                **{
                    **options,
                    "callbacks": [
                        *(callbacks if isinstance(callbacks, list) else [callbacks]), *bar, writer,
                    ],
                },
            )  # fmt: skip
            trainer.predict(module, datamodule=self.data, return_predictions=False)
            trainer.strategy.barrier(name)  # until the first process has completed the store
        self.is_first = trainer.is_global_zero


class _NamedProgressBar(TQDMProgressBar):
    """Lightning's progress bar with the name of the prediction before it."""

    def __init__(self, name: str) -> None:
        super().__init__(leave=True)
        self._name = name

    @property
    def predict_description(self) -> str:
        """The name of the prediction."""
        return self._name
