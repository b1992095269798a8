"""ShapesDataModule: synthetic textured objects on cluttered backgrounds, with masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from fullgrad_lightning.datamodules.base import ImageDataModule
from fullgrad_lightning.datamodules.shapes.render import paint
from fullgrad_lightning.datamodules.shapes.scenes import draw_scenes
from fullgrad_lightning.datamodules.shapes.silhouettes import SILHOUETTES
from fullgrad_lightning.datamodules.shapes.textures import TEXTURES
from fullgrad_lightning.datamodules.transforms import image_transform
from fullgrad_lightning.utilities.checks import check_choice, check_int

ClassBy = Literal["texture", "shape"]
_CLASSES: dict[str, tuple[str, ...]] = {"texture": tuple(TEXTURES), "shape": tuple(SILHOUETTES)}
MEAN, STD = (0.5, 0.5, 0.5), (0.28, 0.28, 0.28)


class ShapesSample(NamedTuple):
    """A sample, or a batch of N with a batch dimension in front.

    Args:
        image: (3, H, W) float32, normalised.
        label: () int64.
        mask: (H, W) bool, the pixels of the object.
    """

    image: Tensor
    label: Tensor
    mask: Tensor


class ShapesDataset(Dataset[ShapesSample]):
    """Synthetic objects as a map-style data set.

    A sample depends on (seed, split, index), the size and ``class_by`` alone, not on the number of
    samples. The global generator is not touched.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``, which have no sample in common.
        indices: Indices of the samples to draw; (N, 4 · H · W) bytes are kept.
        size: H = W, in pixels.
        class_by: The property that the label names, ``"texture"`` or ``"shape"``.
        seed: The seed of all samples.
        transform: From an image (3, H, W) uint8 to the image of the sample.
    """

    def __init__(
        self,
        split: str,
        indices: Sequence[int],
        *,
        size: int = 32,
        class_by: ClassBy = "texture",
        seed: int = 0,
        transform: v2.Compose | None = None,
    ) -> None:
        scenes = draw_scenes(seed, split, indices, formless=class_by == "shape")
        self.images, self.masks = paint(scenes, size)
        self.textures, self.silhouettes = scenes.texture, scenes.thing.kind[:, 0]
        self.targets = self.textures if class_by == "texture" else self.silhouettes
        self.classes = _CLASSES[class_by]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> ShapesSample:
        image = self.images[index]
        if self.transform is not None:
            image = self.transform(image)
        return ShapesSample(image, self.targets[index], self.masks[index])


class ShapesDataModule(ImageDataModule):
    """Objects with one of eight textures and eight silhouettes, over clutter; drawn, not loaded.

    The class is the object's texture; silhouette, size, position and colours are independent of it,
    and each run of 64 samples has every pair of texture and silhouette once. Only the object has a
    texture: the patches and smaller objects of the background are plain. So the evidence lies
    inside the mask and is removed with its pixels, while the removal would show a silhouette.
    Batches are ``ShapesSample``s. There is no augmentation: draw more samples instead.

    Args:
        size: H = W, in pixels, ≥ 16.
        train_size, val_size, test_size: Number of samples of each split.
        class_by: ``"texture"``, or ``"shape"``: the class is the silhouette, the texture
            independent of it, and distractors are formless blobs.
        seed: The seed of all samples.
        batch_size, num_workers, pin_memory: As in ``ImageDataModule``.

    Raises:
        ValueError: An option out of range.

    Examples:
        >>> data = ShapesDataModule(train_size=64, val_size=64, batch_size=16)
        >>> data.setup("fit")
        >>> image, label, mask = next(iter(data.val_dataloader()))
        >>> image.shape, label.dtype, mask.shape, data.class_names[:3]
        (torch.Size([16, 3, 32, 32]), torch.int64, torch.Size([16, 32, 32]), \
('horizontal', 'vertical', 'diagonal'))
    """

    in_channels = 3
    mean = MEAN
    std = STD

    def __init__(
        self,
        size: int = 32,
        train_size: int = 4000,
        val_size: int = 500,
        test_size: int = 500,
        class_by: ClassBy = "texture",
        seed: int = 0,
        *,
        batch_size: int = 64,
        num_workers: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__(
            batch_size=batch_size, num_workers=num_workers, pin_memory=pin_memory, seed=seed
        )
        check_int("size", size, 16)
        self.sizes = {"train": train_size, "val": val_size, "test": test_size}
        for split, number in self.sizes.items():
            check_int(f"{split}_size", number, 1)
        check_choice("class_by", class_by, tuple(_CLASSES))
        self.size, self.class_by = size, class_by
        self.class_names = _CLASSES[class_by]
        self.num_classes = len(self.class_names)

    def setup(self, stage: str | None = None) -> None:
        """Draws the samples of the stage, once."""
        if self.train_set is None and stage in ("fit", None):
            self.train_set = self._draw("train")
        if self.val_set is None and stage in ("fit", "validate", None):
            self.val_set = self._draw("val")
        if self.test_set is None and stage in ("test", "predict", None):
            self.test_set = self._draw("test")

    def _draw(self, split: str) -> ShapesDataset:
        return ShapesDataset(
            split,
            range(self.sizes[split]),
            size=self.size,
            class_by=self.class_by,
            seed=self.seed,
            transform=image_transform(self.mean, self.std),
        )
