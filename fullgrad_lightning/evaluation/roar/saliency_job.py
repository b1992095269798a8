"""An estimate: the saliency maps of one method and one network, as ranks in a store.

python -m fullgrad_lightning.evaluation.roar.saliency_job FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from fullgrad_lightning.evaluation.roar.jobs import RESULT, read_description
from fullgrad_lightning.evaluation.roar.worker import run_job, versions
from fullgrad_lightning.utilities.files import atomic_write


def estimate_maps(folder: Path, started: float) -> None:
    """Computes what the store in the folder lacks of what ``job.json`` says.

    Args:
        folder: Of the job, and of its store.
        started: ``time.time()`` when its process was started.

    Raises:
        ValueError: The store was made from something else, maps are not finite; and all that data,
            model and method raise.
    """
    job = read_description(folder)
    # Here, and not above: the process watches its parent before it imports torch.
    import pytorch_lightning as pl

    from fullgrad_lightning.callbacks.saliency_writer import SaliencyWriter
    from fullgrad_lightning.datamodules.roar.datamodule import ROARDataModule
    from fullgrad_lightning.evaluation.roar.components import make
    from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
    from fullgrad_lightning.stores.rank_store import RankStore

    parts = make(job["data"], job["model"], job["trainer"])
    predictor = SaliencyPredictor(
        parts.model,
        job["method"],
        job["options"],
        target=job["target"],
        seed=job["seed"],
        checkpoint=str(folder.absolute().parent.parent / job["checkpoint"]),
    )
    trainer = pl.Trainer(
        **parts.trainer,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[SaliencyWriter(folder, seed=job["seed"])],
    )
    trainer.predict(predictor, datamodule=ROARDataModule(parts.data), return_predictions=False)
    if not trainer.is_global_zero:
        return
    RankStore.open(folder)  # whole, or says what is missing
    result = {
        "label": job["label"],
        "identity": job["identity"],
        "seconds": {"total": time.time() - started},
        "versions": versions(),
    }
    atomic_write(folder / RESULT, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(run_job(estimate_maps, sys.argv[1:]))
