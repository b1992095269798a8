"""Networks, images and tasks with which ``benchmarks.psi`` compares ψ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

import pytorch_lightning as pl
import torch
from captum import attr
from torch import Tensor, nn
from torchvision.datasets import ImageFolder

import fullgrad_lightning as fgl
from examples.mobilenet_v1 import mobilenet_v1_025
from fullgrad_lightning.datamodules.transforms import image_transform
from fullgrad_lightning.evaluation.reports.tables import percent
from fullgrad_lightning.masking.ranking import rank_pixels
from fullgrad_lightning.masking.replacement import PixelReplacer
from fullgrad_lightning.masking.selection import PixelSelection
from fullgrad_lightning.metrics import ClassFlipping, PixelPerturbation, pixel_perturbation

PSI = ("paper", "signed", "abs")
# From, to: clothes that lose what the other lacks (a shaft, sleeves, the middle of a skirt).
PAIRS = ((9, 7), (9, 5), (2, 0), (6, 0), (3, 1), (4, 3))
MOST = 0.2  # Shrikumar et al.: 157 of 784 pixels
IMAGES = 200  # for each pair
PERTURBED = 1000
FRACTIONS = (0.01, 0.1, 0.5)  # the paper's go from the first to the second
PHOTOGRAPHS_AT_ONCE = 25
MEAN, STD = fgl.FashionMNISTDataModule.mean, fgl.FashionMNISTDataModule.std
BLACK = -MEAN[0] / STD[0]  # as the network gets it
PHOTO_MEAN, PHOTO_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Scores = dict[str, list[float]]  # by column; one number for each network, or for each photograph
Evidence = Callable[[nn.Module, Tensor, int, int], Tensor]


def trained(data: fgl.FashionMNISTDataModule, seed: int, folder: Path) -> nn.Module:
    """A small VGG trained on Fashion-MNIST, cached in the folder; about 90 % accuracy."""
    file = folder / f"vgg9_width8_seed{seed}.pt"
    pl.seed_everything(seed)
    classifier = fgl.ImageClassifier(
        "vgg9", 10, 1, model_options={"width": 8}, optimizer="adamw", lr=3e-3, schedule="onecycle"
    )
    if not file.exists():
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = pl.Trainer(max_epochs=3, accelerator="cpu", enable_checkpointing=False, **quiet)
        trainer.fit(classifier, data)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(classifier.network.state_dict(), file)
    classifier.network.load_state_dict(torch.load(file, weights_only=True))
    return classifier.network.eval().requires_grad_(False)


def tested(data: fgl.FashionMNISTDataModule) -> tuple[Tensor, Tensor]:
    """All test images, (10000, 1, 28, 28), and their labels."""
    data.setup("test")
    batches = [(images, labels) for images, labels in data.test_dataloader()]
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    return images, labels


def predicted(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(batch).argmax(1) for batch in images.split(500)])


def evidences() -> dict[str, Evidence]:
    """Evidence for a and against b, (N, 1, H, W), by name: (network, images, a, b)."""

    def of_psi(psi: str) -> Evidence:
        method = fgl.FullGrad(psi)
        return lambda net, x, a, b: method(net, x, a) - method(net, x, b)

    def log_odds(net: nn.Module, x: Tensor, a: int, b: int) -> Tensor:
        logits = net(x)
        return logits[:, a] - logits[:, b]

    def gradient(net: nn.Module, x: Tensor, a: int, b: int) -> Tensor:
        leaf = x.clone().requires_grad_()
        return torch.autograd.grad(log_odds(net, leaf, a, b).sum(), leaf)[0]

    def integrated(net: nn.Module, x: Tensor, a: int, b: int) -> Tensor:
        method = attr.IntegratedGradients(lambda images: log_odds(net, images, a, b))
        return method.attribute(x, BLACK, n_steps=50, internal_batch_size=2000).float()

    return {
        **{psi: of_psi(psi) for psi in PSI},
        "input gradient": gradient,
        "input × gradient": lambda net, x, a, b: (x - BLACK) * gradient(net, x, a, b),
        "integrated gradients": integrated,
        "random": lambda net, x, a, b: fgl.saliency_method("random")(net, x),
    }


def pair_images(
    network: nn.Module, images: Tensor, labels: Tensor, pair: tuple[int, int]
) -> Tensor:
    """The first images of class a that the network classifies correctly."""
    known = (labels == pair[0]) & (predicted(network, images) == pair[0])
    return images[known][:IMAGES]


def flipping(
    network: nn.Module, images: Tensor, labels: Tensor, names: Sequence[str]
) -> dict[str, Scores]:
    """Class flipping by one network: the score of each kind of evidence.

    Twice: with any pixels, and with those alone that are not black already.
    """
    chosen = {pair: pair_images(network, images, labels, pair) for pair in PAIRS}
    found = {}
    for name, evidence_of in evidences().items():
        changes, flips, wasted = {"": [], " on clothes": []}, {"": [], " on clothes": []}, []
        for (a, b), x in chosen.items():
            evidence = evidence_of(network, x, a, b)
            clothes = is_clothing(x)
            for where, its in (("", evidence), (" on clothes", evidence * clothes)):
                metric = ClassFlipping([MOST], mean=MEAN, std=STD)
                metric.update(network, x, its, original=a, target=b, sample_ids=range(len(x)))
                changes[where].append(float(metric.compute()["mean"]))
                flips[where].append(100 * float(metric.compute()["flipped"]))
            black = ~clothes[:, 0][removed_by(evidence, range(len(x)))]
            wasted.append(100 * float(black.double().mean()))
        headings = [f"{names[a]} → {names[b]}" for a, b in PAIRS]
        found[name] = {
            **{heading: [value] for heading, value in zip(headings, changes[""], strict=True)},
            "all pairs": [fmean(changes[""])],
            "flipped, %": [fmean(flips[""])],
            "black before, %": [fmean(wasted)],
            "all pairs on clothes": [fmean(changes[" on clothes"])],
            "flipped on clothes, %": [fmean(flips[" on clothes"])],
        }
    return found


def is_clothing(x: Tensor) -> Tensor:
    """Mask of the pixels that are not black, (N, 1, H, W) bool."""
    return x > BLACK + 1e-4


def removed_by(evidence: Tensor, sample_ids: Sequence[int]) -> Tensor:
    """The pixels that class flipping removes at most, (N, H, W) bool."""
    first = PixelSelection(fraction=MOST).replaced(rank_pixels(evidence, sample_ids))
    return first & (evidence[:, 0] > 0)


def map_methods() -> dict[str, Callable[[nn.Module, Tensor], Tensor]]:
    """Saliency maps of the top class, (N, 1, H, W), by name."""
    signed = fgl.FullGrad("signed")
    names = ("input_gradient", "input_x_gradient", "random")
    return {
        **{psi: fgl.FullGrad(psi) for psi in PSI},
        "size of signed": lambda net, x: signed(net, x).abs(),
        **{fgl.visualization.display_name(n).lower(): fgl.saliency_method(n) for n in names},
    }


def clothes_perturbed(network: nn.Module, images: Tensor) -> dict[str, Scores]:
    """Pixel perturbation by one network, least salient pixels first, in % of the logit."""
    x, found = images[:PERTURBED], {}
    for name, method in map_methods().items():
        ranks = rank_pixels(method(network, x), range(len(x)))
        scores: Scores = found.setdefault(name, {})
        for fill, what in (("black", "clothes"), ("mean", "clothes in grey")):
            fractions = FRACTIONS if fill == "black" else FRACTIONS[1:]
            metric = PixelPerturbation(fractions, fill=fill, mean=MEAN, std=STD)
            metric.update(network, x, ranks)
            for fraction, change in zip(fractions, metric.compute()["mean"], strict=True):
                scores[f"{what}, {percent(fraction)}"] = [100 * float(change)]
    return found


def photograph_batches(folder: Path, count: int) -> Iterator[tuple[Tensor, range]]:
    """Photographs evenly spread over the classes, and their indices."""
    photographs = ImageFolder(str(folder), image_transform(PHOTO_MEAN, PHOTO_STD))
    step = max(1, len(photographs) // count)
    numbers = range(0, len(photographs), step)[:count]
    for start in range(0, len(numbers), PHOTOGRAPHS_AT_ONCE):
        part = numbers[start : start + PHOTOGRAPHS_AT_ONCE]
        yield torch.stack([photographs[i][0] for i in part]), part


def photographs_perturbed(folder: Path, weights: Path, count: int) -> dict[str, Scores]:
    """Pixel perturbation of photographs, black, by a network trained on ImageNet, in %."""
    network = mobilenet_v1_025()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval().requires_grad_(False)
    black = PixelReplacer(mean=PHOTO_MEAN, std=PHOTO_STD)
    found: dict[str, Scores] = {}
    for images, numbers in photograph_batches(folder, count):
        for name, method in map_methods().items():
            ranks = rank_pixels(method(network, images), numbers)
            change = pixel_perturbation(network, images, ranks, FRACTIONS, replacement=black).change
            scores = found.setdefault(name, {})
            for fraction, column in zip(FRACTIONS, change.T, strict=True):
                values = scores.setdefault(f"photographs, {percent(fraction)}", [])
                values.extend((100 * column).tolist())
    return found
