"""report/tensorboard, read back with TensorBoard's own readers."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from fullgrad_lightning.evaluation.roar.report.results import GridResults
from fullgrad_lightning.evaluation.roar.report.tensorboard_export import (
    ACCURACY,
    export_tensorboard,
)
from tests.evaluation.roar.report.grids import cells, falling


def png(colour: str) -> bytes:
    file = BytesIO()
    Image.new("RGB", (30, 20), colour).save(file, format="png")
    return file.getvalue()


def events_of(run: Path) -> EventAccumulator:
    (file,) = run.glob("events.out.tfevents.*")
    return EventAccumulator(str(file)).Reload()


def content(events: EventAccumulator, tag: str) -> bytes:
    return bytes(events.SummaryMetadata(tag).plugin_data.content)


def test_every_done_cell_is_a_session(tmp_path: Path) -> None:
    states = cells(
        tmp_path,
        ["full/grad", "random"],
        accuracy=lambda m, f, s: None if (m, f) == ("random", 0.5) else falling(m, f, s),
    )
    board = tmp_path / "report" / "tensorboard"
    export_tensorboard(GridResults(states), {}, board)
    done = {state.folder.name: state for state in states if state.result}
    assert {path.name for path in board.iterdir()} == {"report", *done}
    for name, state in done.items():
        events = events_of(board / name)
        start = metadata.parse_session_start_info_plugin_data(
            content(events, metadata.SESSION_START_INFO_TAG)
        )
        assert start.hparams["method"].string_value == state.method
        assert start.hparams["fraction"].number_value == state.fraction
        assert start.hparams["seed"].string_value == str(state.seed)
        (scalar,) = events.Scalars(ACCURACY)
        assert scalar.value == pytest.approx(falling(state.method, state.fraction, state.seed))
        assert scalar.step == round(100 * state.fraction)
        assert metadata.SESSION_END_INFO_TAG in events.summary_metadata


def test_the_experiment_names_labels_and_metric(tmp_path: Path) -> None:
    export_tensorboard(GridResults(cells(tmp_path)), {}, tmp_path / "board")
    events = events_of(tmp_path / "board" / "report")
    experiment = metadata.parse_experiment_plugin_data(content(events, metadata.EXPERIMENT_TAG))
    domains = {info.name: list(info.domain_discrete) for info in experiment.hparam_infos}
    assert domains == {
        "method": ["fullgrad", "random", "reference"],
        "fraction": [0.0, 0.1, 0.5],
        "seed": ["0", "1", "2"],
    }
    assert [info.name.tag for info in experiment.metric_infos] == [ACCURACY]


def test_pictures_are_there_as_they_were_given(tmp_path: Path) -> None:
    pictures = {"roar/accuracy": png("red"), "roar/masked_images": png("blue")}
    export_tensorboard(GridResults(cells(tmp_path)), pictures, tmp_path / "board")
    events = events_of(tmp_path / "board" / "report")
    for tag, file in pictures.items():
        (image,) = events.Images(tag)
        assert image.encoded_image_string == file
        assert (image.width, image.height) == (30, 20)


def test_written_again_nothing_is_doubled_and_nothing_old_stays(tmp_path: Path) -> None:
    board = tmp_path / "report" / "tensorboard"
    export_tensorboard(GridResults(cells(tmp_path / "a")), {"roar/accuracy": png("red")}, board)
    (tmp_path / "report" / ".tensorboard.new" / "half").mkdir(parents=True)  # of a killed report
    (tmp_path / "report" / ".tensorboard.old").mkdir()
    states = cells(tmp_path / "b", ["fullgrad"], seeds=[0])
    export_tensorboard(GridResults(states), {"roar/accuracy": png("blue")}, board)
    assert [path.name for path in board.parent.iterdir()] == ["tensorboard"]
    assert len(list(board.rglob("events*"))) == 1 + len(states)
    (image,) = events_of(board / "report").Images("roar/accuracy")
    assert image.encoded_image_string == png("blue")


def test_nothing_done(tmp_path: Path) -> None:
    export_tensorboard(
        GridResults(cells(tmp_path, accuracy=lambda *_: None)), {}, tmp_path / "board"
    )
    assert [path.name for path in (tmp_path / "board").iterdir()] == ["report"]


def test_no_cells_at_all(tmp_path: Path) -> None:
    export_tensorboard(GridResults([]), {}, tmp_path / "board")
    assert len(list((tmp_path / "board").iterdir())) == 1
