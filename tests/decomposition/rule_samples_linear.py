"""Calls of views, movements, linear maps and piecewise linear ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torchvision.ops import ps_roi_align, ps_roi_pool, roi_align, roi_pool

from tests.decomposition.rule_operands import (
    BOXES,
    GRID,
    I0,
    IC,
    INDEX,
    MASK,
    SLOPE,
    C,
    Sample,
    aten,
    line,
    of_tensor,
    of_torch,
    pool,
    volume,
)

_PLAIN = "neg negative abs absolute relu"


def views() -> dict[str, list[Sample]]:
    methods: dict[str, tuple[object, ...]] = {
        "view": (2, -1),
        "reshape": (6, 16),
        "flatten": (1,),
        "unflatten": (3, (2, 2)),
        "squeeze": (),
        "unsqueeze": (1,),
        "permute": (0, 2, 3, 1),
        "transpose": (1, 2),
        "adjoint": (),
        "movedim": (1, 3),
        "contiguous": (),
        "clone": (),
        "to": (torch.float64,),
        "type": (torch.float64,),
        "type_as": (C,),
        "double": (),
        "cpu": (),
        "select": (1, 2),
        "narrow": (1, 0, 2),
        "split": (2, 1),
        "split_with_sizes": ([1, 2], 1),
        "tensor_split": (2, 1),
        "chunk": (2, 1),
        "unbind": (1,),
        "hsplit": ([1],),
        "vsplit": (2,),
        "dsplit": (2,),
        "index_select": (1, IC),
        "gather": (1, INDEX),
        "take": (INDEX,),
        "take_along_dim": (INDEX, 1),
        "flip": (1,),
        "fliplr": (),
        "flipud": (),
        "roll": (1, 2),
        "rot90": (1, (2, 3)),
        "tril": (),
        "triu": (1,),
        "diagonal": (0, 2, 3),
        "diag_embed": (),
        "unfold": (2, 2, 1),
        "view_as": (C,),
        "reshape_as": (C,),
        "as_strided": ((2, 3), (3, 1)),
        "ravel": (),
        "conj": (),
        "resolve_conj": (),
        "resolve_neg": (),
        "masked_select": (MASK,),
        "expand_as": (C,),
        "repeat": (1, 2, 1, 1),
        "tile": (2,),
        "repeat_interleave": (2, 1),
        "broadcast_to": ((5, 2, 3, 4, 4),),
        "expand": (5, 2, 3, 4, 4),
        "requires_grad": (),
    }
    samples = {name: of_tensor(name, *args) for name, args in methods.items()}
    del samples["requires_grad"]
    return samples | {
        "t": [lambda a, _: a[0, 0].t()],
        "T": [lambda a, _: a[0, 0].T],
        "mT": [lambda a, _: a.mT],
        "H": [lambda a, _: a[0, 0].H],
        "mH": [lambda a, _: a.mH],
        "float": [lambda a, _: a.float().double()],
        "half": [lambda a, _: a.half().double()],
        "bfloat16": [lambda a, _: a.bfloat16().double()],
        "getitem": [lambda a, _: a[:, 1:, None], lambda a, _: a[I0], lambda a, _: a[MASK]],
        "diag": [lambda a, _: a[0, 0].diag(), lambda a, _: a[0, 0, 0].diag()],
        "im2col": [lambda a, _: aten.im2col(a, (2, 2), (1, 1), (0, 0), (1, 1))],
        "col2im": [
            lambda a, _: aten.col2im(F.unfold(a, 2), (4, 4), (2, 2), (1, 1), (0, 0), (1, 1))
        ],
        "pixel_shuffle": [lambda a, _: F.pixel_shuffle(a.reshape(2, 12, 2, 2), 2)],
        "pixel_unshuffle": [lambda a, _: F.pixel_unshuffle(a, 2)],
        "channel_shuffle": [lambda a, _: F.channel_shuffle(a, 3)],
        "real": [lambda a, b: torch.complex(a, b).real],
        "imag": [lambda a, b: torch.complex(a, b).imag],
        "view_as_real": [lambda a, b: torch.view_as_real(torch.complex(a, b))],
        "view_as_complex": [lambda a, _: torch.view_as_complex(a.view(2, 3, 8, 2))],
        "_unsafe_view": [lambda a, _: aten._unsafe_view(a, (2, 48))],
        "alias": [lambda a, _: aten.alias(a)],
        "slice": [lambda a, _: aten.slice(a, 1, 0, 2)],
        "reflection_pad1d": [lambda a, _: aten.reflection_pad1d(line(a), (1, 2))],
        "reflection_pad2d": [lambda a, _: aten.reflection_pad2d(a, (1, 2, 1, 0))],
        "replication_pad1d": [lambda a, _: aten.replication_pad1d(line(a), (1, 2))],
        "replication_pad2d": [lambda a, _: aten.replication_pad2d(a, (1, 2, 1, 0))],
    }


def linear_maps() -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {
        **{name: of_torch(name) for name in _PLAIN.split()},
        **{name: of_torch(name) + of_torch(name, 1) for name in ("sum", "mean", "nansum")},
        "cumsum": of_torch("cumsum", 2),
        "leaky_relu": [lambda a, _: F.leaky_relu(a, 0.2)],
        "rrelu": [lambda a, _: F.rrelu(a)],
        "prelu": [lambda a, _: F.prelu(a, SLOPE)],
        "amax": of_torch("amax", (1, 2)),
        "amin": of_torch("amin", 1),
        "median": of_torch("median", 1),
        "nanmedian": of_torch("nanmedian", 1),
        "topk": of_torch("topk", 2, 1),
        "sort": of_torch("sort", 1),
        "kthvalue": of_torch("kthvalue", 2, 1),
        "mode": of_torch("mode", 1),
        "cummax": of_torch("cummax", 2),
        "cummin": of_torch("cummin", 2),
        "std": of_torch("std", 1),
        "upsample_nearest1d": [lambda a, _: F.interpolate(line(a), 9)],
        "upsample_nearest2d": [lambda a, _: F.interpolate(a, 7)],
        "upsample_nearest3d": [lambda a, _: F.interpolate(volume(a), (5, 6, 2))],
        "_upsample_nearest_exact1d": [lambda a, _: F.interpolate(line(a), 9, mode="nearest-exact")],
        "_upsample_nearest_exact2d": [lambda a, _: F.interpolate(a, 7, mode="nearest-exact")],
        "_upsample_nearest_exact3d": [
            lambda a, _: F.interpolate(volume(a), (5, 6, 2), mode="nearest-exact")
        ],
        "upsample_linear1d": [lambda a, _: F.interpolate(line(a), 9, mode="linear")],
        "upsample_bilinear2d": [lambda a, _: F.interpolate(a, 7, mode="bilinear")],
        "upsample_bicubic2d": [
            lambda a, _: F.interpolate(a, 7, mode="bicubic", align_corners=True)
        ],
        "upsample_trilinear3d": [
            lambda a, _: F.interpolate(volume(a), (5, 6, 2), mode="trilinear")
        ],
        "_upsample_bilinear2d_aa": [
            lambda a, _: F.interpolate(a, 3, mode="bilinear", antialias=True)
        ],
        "_upsample_bicubic2d_aa": [
            lambda a, _: F.interpolate(a, 3, mode="bicubic", antialias=True)
        ],
        "grid_sampler": [lambda a, _: F.grid_sample(a, GRID, align_corners=False)],
        "grid_sampler_2d": [lambda a, _: aten.grid_sampler_2d(a, GRID, 0, 0, False)],
        "grid_sampler_3d": [
            lambda a, _: aten.grid_sampler_3d(volume(a), F.pad(GRID, (0, 1))[:, None], 0, 0, False)
        ],
        "roi_align": [lambda a, _: roi_align(a, BOXES, 2)],
        "roi_pool": [lambda a, _: roi_pool(a, BOXES, 2)],
        "ps_roi_align": [lambda a, _: ps_roi_align(a.view(2, 12, 2, 2), BOXES / 2, 2)],
        "ps_roi_pool": [lambda a, _: ps_roi_pool(a.view(2, 12, 2, 2), BOXES / 2, 2)],
        "feature_dropout": [lambda a, _: F.dropout2d(a, 0.5, False)],
        "stft": [
            lambda a, _: torch.stft(
                a.flatten(1), 8, window=torch.ones(8).to(a), return_complex=True
            )
        ],
        "istft": [
            lambda a, _: torch.istft(
                torch.stft(a.flatten(1), 8, window=torch.ones(8).to(a), return_complex=True),
                8,
                window=torch.ones(8).to(a),
            )
        ],
        "nanmean": of_torch("nanmean", 1),
    }
    for d, shape in ((1, line), (2, lambda a: a), (3, lambda a: volume(a).repeat(1, 1, 1, 1, 3))):
        for name in (f"avg_pool{d}d", f"max_pool{d}d", f"max_pool{d}d_with_indices"):
            samples[name] = [pool(name, shape, 2, 1)]
        for name in (f"adaptive_avg_pool{d}d", f"adaptive_max_pool{d}d"):
            samples[name] = [pool(name, shape, 2)]
    return samples


def spectra() -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {
        f"fft_{name}": [lambda a, _, n=name: getattr(torch.fft, n)(a)]
        for name in ("fftshift", "ifftshift")
    }
    for d in ("", "2", "n"):
        for name in (f"fft{d}", f"ifft{d}", f"rfft{d}", f"ihfft{d}"):
            samples[f"fft_{name}"] = [lambda a, _, n=name: getattr(torch.fft, n)(a)]
        for name in (f"irfft{d}", f"hfft{d}"):
            samples[f"fft_{name}"] = [
                lambda a, b, n=name: getattr(torch.fft, n)(torch.complex(a, b))
            ]
    return samples


def jointly() -> dict[str, list[Sample]]:
    names = ("maximum", "minimum", "fmax", "fmin", "hypot")
    return {name: [getattr(torch, name)] for name in names} | {
        "block_diag": [lambda a, b: torch.block_diag(a[0, 0], b[0, 0])]
    }
