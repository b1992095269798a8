"""ImageFolderDataModule: folders of images, one sub-folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import default_loader, find_classes
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.base import ImageDataModule
from fullgrad_lightning.datamodules.splits import SPLITS, check_split_sizes, train_val_subsets
from fullgrad_lightning.datamodules.transforms import crop_and_flip, image_transform
from fullgrad_lightning.utilities.checks import check_int

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageFolderDataModule(ImageDataModule):
    """Images in ``data_dir/train/<class>/``, ``data_dir/val/<class>/``, ``data_dir/test/<class>/``.

    Without ``val/`` the validation images are taken from ``train/``, without augmentation. Without
    all three, ``data_dir/<class>/`` are the training images, and ``predict`` runs over all of them
    (else over ``test``). To validate or test, the folder of that split is enough. Images
    are RGB; the shorter side is resized to ``size`` and the middle cut out. Augmentation up to 64
    pixels: moved by up to size / 8 and mirrored; above: a random part (``RandomResizedCrop``) and
    mirrored. Class names are the names of the sub-folders, and available before ``setup``.

    Args:
        data_dir: The folder that holds ``train/``, or the classes.
        size: H = W, in pixels.
        augment: Whether training images are augmented.
        val_size: Number of training images kept for validation, or their share (a float); not used
            where there is ``val/``.
        train_size: Number of training images used; ``None``: all others. Subsets are seeded and
            keep the proportions of the classes.
        mean: 3 numbers, of pixels in 0…1; default: ImageNet's.
        std: 3 numbers.
        batch_size, num_workers, pin_memory, seed: As in ``ImageDataModule``.

    Raises:
        ValueError: An option out of range; in ``setup``, a split that asks for too many images.
        FileNotFoundError: In ``prepare_data`` or ``setup``: a folder is missing or empty, or its
            classes are not those of ``train/``.
    """

    in_channels = 3

    def __init__(
        self,
        data_dir: str | Path,
        size: int = 224,
        *,
        augment: bool = True,
        val_size: int | float = 0.1,
        train_size: int | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        batch_size: int = 64,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, pin_memory=pin_memory, seed=seed
        )
        check_int("size", size, 1)
        check_split_sizes(val_size, train_size)
        self.mean, self.std = tuple(mean), tuple(std)
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"mean and std must hold 3 numbers each, those of std > 0, got {mean} and {std}."
            )
        self.data_dir = Path(data_dir).expanduser()
        self.size, self.augment = size, augment
        self.val_size, self.train_size = val_size, train_size

    @property
    def class_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the sub-folders of ``train/``, sorted; without it, of another split's.

        Raises:
            FileNotFoundError: There are none.
        """
        return self._class_folders(next(iter(self._splits), "train"))

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """The number of classes."""
        return len(self.class_names)

    def prepare_data(self) -> None:
        """Checks that the folders exist."""
        for split in self._splits or ("train",):
            self._check_classes(split)

    def setup(self, stage: str | None = None) -> None:
        """Lists the images of the stage, once."""
        evaluation = image_transform(self.mean, self.std, self.size)
        splits = self._splits
        if stage == "validate" and "val" in splits and self.val_set is None:
            self.val_set = self._open("val", evaluation)
        elif self.train_set is None and stage in ("fit", "validate", None):
            augmentation = crop_and_flip(self.size) if self.augment else []
            transform = image_transform(self.mean, self.std, self.size, augmentation=augmentation)
            has_val = "val" in splits
            self.train_set, self.val_set = train_val_subsets(
                self._open("train", transform),
                evaluation,
                val_size=0 if has_val else self.val_size,
                train_size=self.train_size,
                seed=self.seed,
            )
            if has_val:
                self.val_set = self._open("val", evaluation)
        tests = stage == "test" or (stage in ("predict", None) and "test" in splits)
        if self.test_set is None and tests:
            self.test_set = self._open("test", evaluation)
        if stage == "predict" and self._flat:
            self.predict_set = self._open("train", evaluation)
        elif stage == "predict":
            self.predict_set = self.test_set or self._open("test", evaluation)

    @property
    def _splits(self) -> tuple[str, ...]:
        """The splits that have a folder."""
        return tuple(split for split in SPLITS if (self.data_dir / split).is_dir())

    @property
    def _flat(self) -> bool:
        """True if the classes lie in ``data_dir`` itself; not if its sub-folders hold folders."""
        if self._splits or not self.data_dir.is_dir():
            return False
        classes = sorted(path for path in self.data_dir.iterdir() if path.is_dir())
        return bool(classes) and not any(path.is_dir() for path in classes[0].iterdir())

    def _folder(self, split: str) -> Path:
        return self.data_dir if split == "train" and self._flat else self.data_dir / split

    def _class_folders(self, split: str) -> tuple[str, ...]:
        try:
            return tuple(find_classes(self._folder(split))[0])
        except OSError as error:
            raise FileNotFoundError(
                f"No images in {self._folder(split)}: expected sub-folders, one for each class "
                f"({error}). ImageFolderDataModule needs data_dir/train/<class>/*.png (or .jpg, …) "
                f"and, if there are any, data_dir/val and data_dir/test with the same classes; or "
                f"data_dir/<class>/ alone, of which train and val are made, and predict runs over "
                f"all. data_dir is {self.data_dir}."
            ) from error

    def _check_classes(self, split: str) -> None:
        classes, expected = set(self._class_folders(split)), set(self.class_names)
        if classes != expected:
            raise FileNotFoundError(
                f"The classes of {self.data_dir / split} are not those of train/: missing are "
                f"{sorted(expected - classes)[:5]}, unknown are {sorted(classes - expected)[:5]}. "
                "The sub-folders must have the same names, or labels would differ in meaning."
            )

    def _open(self, split: str, transform: v2.Compose) -> ImageFolder:
        self._check_classes(split)
        try:
            return ImageFolder(self._folder(split), transform, loader=open_image)
        except OSError as error:
            raise FileNotFoundError(
                f"Cannot list the images of {self._folder(split)}: {error} Add images to these "
                "sub-folders, or remove them."
            ) from error


def open_image(path: str) -> Image.Image:
    """Reads an image file, as RGB; an ``OSError`` names the file."""
    try:
        image: Image.Image = default_loader(path)
    except OSError as error:
        raise OSError(f"Cannot read the image {path}: {error}. Repair or remove it.") from error
    return image
