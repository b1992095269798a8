"""Does what is not done yet of a benchmark: maps, then scores, method by method."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback

from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
from fullgrad_lightning.datamodules.indexed_split import IndexedSplitDataModule
from fullgrad_lightning.evaluation.components import Components
from fullgrad_lightning.evaluation.config import ConfigError, MethodSpec
from fullgrad_lightning.evaluation.perturbation.config import PerturbationConfig
from fullgrad_lightning.evaluation.perturbation.example_images import write_examples
from fullgrad_lightning.evaluation.perturbation.report import write_report
from fullgrad_lightning.evaluation.perturbation.report.results import (
    PerturbationResults,
    ScoreCurves,
)
from fullgrad_lightning.evaluation.perturbation.scores import Score
from fullgrad_lightning.evaluation.perturbation.scoring import (
    PerturbationScorer,
    ScoreWriter,
    score_store,
)
from fullgrad_lightning.evaluation.progress import NamedProgressBar
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.metrics.functional.perturbed_logits import classes_of, logits_without
from fullgrad_lightning.models.batches import numbered
from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
from fullgrad_lightning.stores.curve_store import CurveStore
from fullgrad_lightning.stores.rank_store import RankStore
from fullgrad_lightning.utilities.lightning_messages import suppress_lightning_messages
from fullgrad_lightning.utilities.locks import folder_lock
from fullgrad_lightning.utilities.normalization import Normalization

# How warnings begin that each prediction would give again, of workers and of Lightning's own use of
# torch. What methods and networks have to say is heard.
_KNOWN = (
    ".*does not have many workers",
    ".*LeafSpec.* is deprecated",
    "GPU available but not used",
)


def run_benchmark(parts: Components[PerturbationConfig]) -> str:
    """Runs a benchmark, or what of it is not done, on all devices of its Trainer.

    ======================== ===================================================================
    in the folder ``output`` what it is
    ======================== ===================================================================
    ranks/<method>/          a ``RankStore``: the order of the pixels of all images
    scores.sqlite            the scores of all images, see ``CurveStore``
    report/table.md          means, intervals, areas
    report/results.csv       a row for each score, curve, method and fraction
    report/perturbation.png  Figure 2a of the paper, and the other order; likewise
                             insertion_deletion and road; SVG too
    report/examples.png      a few images without their least and most salient pixels
    ======================== ===================================================================

    After a kill, the same again goes on where it was: each process loses a batch at most.

    Args:
        parts: Of ``parse_study``.

    Returns:
        The text to print; empty in all processes but the first.

    Raises:
        ConfigError: What is wrong with the options, the data, the network or the methods, as far as
            two images tell; nothing has been computed.
        StoreMismatch: The folder holds a benchmark of something else.
        FolderInUse: Another process works on it.
    """
    folder = Path(parts.study.output)
    # Lightning starts the other processes of the first one's devices, which run this too.
    with folder_lock(folder) if not getattr(rank_zero_only, "rank", 0) else nullcontext():
        return _run(parts, folder)


def _run(parts: Components[PerturbationConfig], folder: Path) -> str:
    study = parts.study
    data = IndexedSplitDataModule(parts.data, study.split, samples=study.samples)
    run = _Predictions(parts, data, folder)
    try:
        data.prepare_data()
        data.setup("predict")
        run.try_out()
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(str(error)) from error
    scores = study.made_scores(data.normalization)
    curves = {score.name: ScoreCurves(score.levels) for score in scores}
    results = PerturbationResults(data.sizes[study.split], len(study.entries), study.fill, curves)
    text, stores = "", {}
    for entry in study.entries:
        stores[entry.name] = run.ranks(entry)
        for score in scores:
            found = run.scores(entry, score, stores[entry.name])
            if run.is_first:
                curves[score.name].by_method[entry.name] = found.read()
        if run.is_first:  # also half-way: who waits wants to see
            examples = folder / "report" / "examples.png"
            text = write_report(results, examples.parent)
            text += f"\n\nWhat was removed, of a few images:\n  {examples}"
            write_examples(
                examples, data, stores,
                fraction=study.fractions[-1], fill=study.fill, seed=study.seed,
                normalization=Normalization.of(*(scores[0].normalization or (None, None))),
            )  # fmt: skip
    return text


@dataclass
class _Predictions:
    """Predictions on the devices of a benchmark.

    Args:
        parts: What is run.
        data: Set up.
        folder: Of everything.
        is_first: Whether this process writes the report; known after the first prediction.
    """

    parts: Components[PerturbationConfig]
    data: IndexedSplitDataModule
    folder: Path
    is_first: bool = True

    def try_out(self) -> None:
        """Asks the network, and explains two images by each method, before all are by one."""
        loader = self.data.predict_dataloader()[0]
        dataset = loader.dataset
        two = min(2, self.data.sizes[self.data.split])
        batch = loader.collate_fn([dataset[i] for i in range(two)])
        _, images, target = numbered(batch, self.parts.study.target)
        nothing = torch.zeros_like(images[:, 0], dtype=torch.bool)
        logits = logits_without(self.parts.model, images, [nothing], PixelReplacer())
        classes_of(logits[0], target)
        for entry in self.parts.study.entries:
            self._predictor(entry).explained(batch, self.data.split)

    def ranks(self, entry: MethodSpec) -> RankStore:
        """The ranks of all images by a method."""
        folder = self.folder / "ranks" / entry.name
        writer = SaliencyWriter(folder, seed=self.parts.study.seed)
        self._predict(self._predictor(entry), writer, f"{entry.name}: maps")
        return RankStore.open(folder)

    def scores(self, entry: MethodSpec, score: Score, ranks: RankStore) -> CurveStore:
        """The scores of all images."""
        path, series = self.folder / "scores.sqlite", f"{entry.name}/{score.name}"
        study = self.parts.study
        scorer = PerturbationScorer(
            self.parts.model, score, ranks, target=study.target, seed=study.seed
        )
        self._predict(scorer, ScoreWriter(path, series), f"{entry.name}: {score.name}")
        return score_store(path, series, score, ranks, study.target)

    def _callbacks(self, writer: Callback, name: str) -> list[Callback]:
        given = self.parts.trainer.get("callbacks") or []
        shows = self.parts.trainer.get("enable_progress_bar") is not False
        bar = [NamedProgressBar(name)] if shows else []
        return [*(given if isinstance(given, list) else [given]), *bar, writer]

    def _predictor(self, entry: MethodSpec) -> SaliencyPredictor:
        study = self.parts.study
        return SaliencyPredictor(
            self.parts.model, entry.method, entry.options, target=study.target, seed=study.seed
        )

    def _predict(self, module: pl.LightningModule, writer: Callback, name: str) -> None:
        with suppress_lightning_messages(_KNOWN):
            trainer = pl.Trainer(
                logger=False,
                enable_checkpointing=False,
                enable_model_summary=False,
                default_root_dir=self.folder,
                **{**self.parts.trainer, "callbacks": self._callbacks(writer, name)},
            )
            trainer.predict(module, datamodule=self.data, return_predictions=False)
            trainer.strategy.barrier(name)  # until the first process has completed the store
        self.is_first = trainer.is_global_zero
