"""Constants beside the two activations of the sample calls, and short ways to write those."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.decomposition.redrawn import images

Sample = Callable[[Tensor, Tensor], object]
aten = torch.ops.aten

C = images(2, 3, 4, 4, seed=11)
W2, WT = images(5, 3, 2, 2, seed=12), images(3, 5, 2, 2, seed=12)
B5, B3 = images(1, 5, seed=13)[0], images(1, 3, seed=14)[0]
GRID = images(2, 3, 3, 2, seed=15).tanh()
BOXES = torch.tensor([[0.0, 0.3, 0.2, 3.1, 2.9], [1.0, 0.0, 1.0, 2.0, 3.0]]).double()
I0, IC = torch.tensor([1, 0]), torch.tensor([2, 0, 1])
INDEX = IC[None, :, None, None].expand(2, -1, 4, 4)
MASK = C > 0.3
SLOPE = images(1, 3, seed=16)[0]


def line(a: Tensor) -> Tensor:
    return a.flatten(2)


def volume(a: Tensor) -> Tensor:
    return a.unsqueeze(-1)


def in_place(a: Tensor, method: str, *args: object, **kwargs: object) -> Tensor:
    return getattr(a * 1, method)(*args, **kwargs)


def set_item(target: Tensor, index: object, value: object) -> Tensor:
    target[index] = value
    return target


def of_tensor(name: str, *args: object, **kwargs: object) -> list[Sample]:
    return [lambda a, _: getattr(a, name)(*args, **kwargs)]


def of_torch(name: str, *args: object, **kwargs: object) -> list[Sample]:
    return [lambda a, _: getattr(torch, name)(a, *args, **kwargs)]


def joined(join: Callable[[list[Tensor]], Tensor]) -> list[Sample]:
    return [lambda a, b: join([a, b]), lambda a, _: join([C, a])]


def pool(name: str, shape: Callable[[Tensor], Tensor], *args: int) -> Sample:
    return lambda a, _: getattr(F, name)(shape(a), *args)
