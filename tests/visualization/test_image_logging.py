"""Pictures in loggers, real ones where the tests have them, and files that are whole."""

from __future__ import annotations

import inspect
import warnings
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import lightning.pytorch.loggers
import pytest
import pytorch_lightning.loggers
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from fullgrad_lightning.visualization import image_logging as loggers, log_image, save_png

NAMESPACES = pytest.mark.parametrize("namespace", [pytorch_lightning, lightning.pytorch])
KEY = "val/fullgrad"
FILE = "val/fullgrad_step000007.png"


@pytest.fixture(autouse=True)
def _first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "_warned", False)


@pytest.fixture
def picture() -> Tensor:
    """Squares of one colour each, (3, 40, 60), uint8."""
    small = torch.randint(256, (3, 4, 6), generator=torch.Generator().manual_seed(0))
    return small.repeat_interleave(10, 1).repeat_interleave(10, 2).to(torch.uint8)


def read(path: Path | BytesIO) -> Tensor:
    with Image.open(path) as stored:
        return pil_to_tensor(stored)


@pytest.fixture
def _no_warning() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("_no_warning")
@NAMESPACES
def test_tensorboard(namespace: ModuleType, tmp_path: Path, picture: Tensor) -> None:
    logger = namespace.loggers.TensorBoardLogger(tmp_path / "logs")
    for step in (3, 7):
        log_image([logger], KEY, picture, step, tmp_path / "files")
    logger.experiment.flush()
    events = EventAccumulator(logger.log_dir).Reload()
    assert events.Tags()["images"] == [KEY]
    stored = events.Images(KEY)
    assert [event.step for event in stored] == [3, 7]
    assert (stored[0].width, stored[0].height) == (60, 40)
    image = read(BytesIO(stored[0].encoded_image_string))
    assert (image.float() - picture.float()).abs().mean() < 3
    assert not (tmp_path / "files").exists()


@NAMESPACES
def test_loggers_without_pictures_get_files(
    namespace: ModuleType, tmp_path: Path, picture: Tensor
) -> None:
    logger = namespace.loggers.CSVLogger(tmp_path / "logs")
    with pytest.warns(UserWarning, match=r"written to .*files") as caught:
        log_image([logger], KEY, picture, 7, tmp_path / "files")
    assert len(caught) == 1 and caught[0].filename == __file__
    assert torch.equal(read(tmp_path / "files" / FILE), picture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        log_image([logger], KEY, picture, 8, tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/val/fullgrad_step000008.png").exists()


def test_no_logger_at_all(tmp_path: Path, picture: Tensor) -> None:
    with pytest.warns(UserWarning, match="Not every logger takes pictures"):
        log_image([], KEY, picture, 7, tmp_path)
    assert torch.equal(read(tmp_path / FILE), picture)


def test_a_key_does_not_leave_the_folder(tmp_path: Path, picture: Tensor) -> None:
    with pytest.warns(UserWarning, match="written to"):
        log_image([], "/../../a//b", picture, 7, tmp_path / "files")
    assert (tmp_path / "files/a/b_step000007.png").exists()


class Recorder:
    """Stands in for loggers whose services the tests do not have; keeps what is logged."""

    run_id = "run"

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.experiment = self

    def log_image(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append({str(i): value for i, value in enumerate(args)} | kwargs)


def stand_in(name: str, module: str) -> Recorder:
    """One whose class is derived from a class of that name."""
    base = type(name, (Recorder,), {"__module__": module})
    return type("OfAUser", (base,), {})()  # type: ignore[no-any-return]


@pytest.mark.usefixtures("_no_warning")
@NAMESPACES
def test_weights_and_biases(namespace: ModuleType, tmp_path: Path, picture: Tensor) -> None:
    logger = stand_in("WandbLogger", namespace.__name__)
    log_image([logger], KEY, picture, 7, tmp_path)
    (call,) = logger.calls
    inspect.signature(namespace.loggers.WandbLogger.log_image).bind(logger, **call)
    assert (call["key"], call["step"]) == (KEY, 7)
    (image,) = call["images"]
    assert torch.equal(pil_to_tensor(image), picture)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_no_warning")
@NAMESPACES
def test_mlflow(namespace: ModuleType, tmp_path: Path, picture: Tensor) -> None:
    logger = stand_in("MLFlowLogger", namespace.__name__)
    log_image([logger], KEY, picture, 7, tmp_path)
    ((run, image, file),) = [tuple(call.values()) for call in logger.calls]
    assert list(logger.calls[0]) == ["0", "1", "artifact_file"]
    assert (run, file) == ("run", FILE)
    assert torch.equal(pil_to_tensor(image), picture)
    assert not list(tmp_path.iterdir())


def test_every_logger_gets_it(tmp_path: Path, picture: Tensor) -> None:
    board = pytorch_lightning.loggers.TensorBoardLogger(tmp_path / "logs")
    others = [stand_in(name, "lightning") for name in ("WandbLogger", "MLFlowLogger")]
    table = pytorch_lightning.loggers.CSVLogger(tmp_path / "logs")
    with pytest.warns(UserWarning, match="written to"):
        log_image([board, *others, table], KEY, picture, 7, tmp_path / "files")
    board.experiment.flush()
    assert EventAccumulator(board.log_dir).Reload().Tags()["images"] == [KEY]
    assert [len(other.calls) for other in others] == [1, 1]
    assert (tmp_path / "files" / FILE).exists()


def test_a_file_is_whole_or_not_there(
    tmp_path: Path, picture: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(image: Image.Image, path: Path, **options: Any) -> None:
        Path(path).write_bytes(b"\x89PNG half")
        raise OSError("No space left on device")

    path = tmp_path / "folder" / "picture.png"
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", breaks)
        with pytest.raises(OSError, match="No space left"):
            save_png(picture, path)
    assert list(path.parent.iterdir()) == []
    save_png(picture, path)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", breaks)
        with pytest.raises(OSError, match="No space left"):
            save_png(255 - picture, path)
    assert list(path.parent.iterdir()) == [path]
    assert torch.equal(read(path), picture)
    save_png(255 - picture, path)
    assert torch.equal(read(path), 255 - picture)


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 4, 4), torch.zeros(4, 4, 3).byte(), torch.zeros(1, 3, 4, 4).byte()]
)
def test_what_is_no_picture(tmp_path: Path, image: Tensor) -> None:
    for write in (
        lambda: save_png(image, tmp_path / "a.png"),
        lambda: log_image([], KEY, image, 0, tmp_path),
    ):
        with pytest.raises(ValueError, match=r"image must be uint8 of shape \(3, H, W\)"):
            write()
    assert not list(tmp_path.iterdir())
