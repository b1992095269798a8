"""The saliency maps of one method and one network, as ranks in a store.

python -m fullgrad_lightning.evaluation.roar.saliency_job FOLDER
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from fullgrad_lightning.evaluation.roar.jobs import grid_folder, read_description
from fullgrad_lightning.evaluation.roar.worker import run_job, write_result


def compute_maps(folder: Path, started: float) -> None:
    """Computes the ranks that the store in a job's folder lacks, as described by ``job.json``.

    ``started`` is ``time.time()`` when its process was started.

    Raises:
        ValueError: The store has another provenance, or maps are not finite; data, model and method
            raise others.
    """
    job = read_description(folder)
    # Imported here: the process watches its parent before it imports torch.
    import pytorch_lightning as pl

    from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
    from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
    from fullgrad_lightning.evaluation.components import instantiate_components
    from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
    from fullgrad_lightning.stores.rank_store import RankStore

    components = instantiate_components(job["data"], job["model"], job["trainer"])
    predictor = SaliencyPredictor(
        components.model,
        job["method"],
        job["options"],
        target=job["target"],
        seed=job["seed"],
        checkpoint=str(grid_folder(folder) / job["checkpoint"]),
    )
    trainer = pl.Trainer(
        **components.trainer,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[SaliencyWriter(folder, seed=job["seed"])],
    )
    data = ROARDataModule(components.data)
    trainer.predict(predictor, datamodule=data, return_predictions=False)
    if not trainer.is_global_zero:
        return
    RankStore.open(folder)  # raises if rows are missing
    write_result(folder, job, {"seconds": {"total": time.time() - started}})


if __name__ == "__main__":
    sys.exit(run_job(compute_maps, sys.argv[1:]))
