"""The place of the image in transformers: among class and register tokens, in NHWC, in windows."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.convnext import CNBlockConfig
from torchvision.ops import Permute

import fullgrad_lightning as fgl
from fullgrad_lightning.saliency.fullgrad import FullGrad
from tests.decomposition.redrawn import images, redraw
from tests.saliency.networks import assert_near

HEIGHT, WIDTH, PATCH, DIM, HEADS = 3, 5, 4, 8, 2  # of the grid of tokens; not square
# Name -> the number of other tokens in front of the image, and behind it.
EXTRA = {
    "none": (0, 0),
    "class": (1, 0),
    "class, registers": (4, 0),
    "behind": (0, 1),
    "both": (1, 3),
}


class Block(nn.Module):
    def __init__(self, explicit: bool) -> None:
        super().__init__()
        self.explicit = explicit
        self.norm, self.qkv, self.out = (
            nn.LayerNorm(DIM),
            nn.Linear(DIM, 3 * DIM),
            nn.Linear(DIM, DIM),
        )
        self.up, self.gelu, self.down = nn.Linear(DIM, 12), nn.GELU(), nn.Linear(12, DIM)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        if self.explicit:
            mixed = (q @ k.transpose(-2, -1) * 0.5).softmax(-1) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(self.gelu(self.up(x)))


class TinyViT(nn.Module):
    """Two blocks on patches of the image, other tokens in front and behind, a head on the mean."""

    def __init__(self, front: int, behind: int, *, explicit: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, DIM, PATCH, PATCH)
        self.front = nn.Parameter(torch.zeros(1, front, DIM))
        self.behind = nn.Parameter(torch.zeros(1, behind, DIM))
        self.position = nn.Parameter(torch.zeros(1, front + HEIGHT * WIDTH + behind, DIM))
        self.embedding = nn.Identity()
        self.blocks = nn.Sequential(Block(explicit), Block(explicit))
        self.head = nn.Linear(DIM, 5)
        redraw(self).eval()

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        others = [part.expand(len(x), -1, -1) for part in (self.front, self.behind)]
        sequence = [part for part in (others[0], tokens, others[1]) if part.shape[1]]
        tokens = torch.cat(sequence, 1) if len(sequence) > 1 else tokens
        return self.head(self.blocks(self.embedding(tokens + self.position)).mean(1))


def photographs(n: int) -> Tensor:
    return images(n, 3, HEIGHT * PATCH, WIDTH * PATCH)


def by_hand(values: Tensor, front: int, length: int) -> Tensor | None:
    """(N, L, C) or (N, heads, L, d) as (N, C, h, w); ``None`` for what has no place."""
    n, patches = values.shape[0], slice(front, front + HEIGHT * WIDTH)
    if values.ndim == 3 and values.shape[1] == length:
        return values[:, patches].transpose(1, 2).reshape(n, -1, HEIGHT, WIDTH)
    if values.ndim == 4 and values.shape[1:3] == (HEADS, length) and values.shape[3] != length:
        return values[:, :, patches].transpose(2, 3).reshape(n, -1, HEIGHT, WIDTH)
    return values if values.ndim == 4 and values.shape[2:] == (HEIGHT, WIDTH) else None


@pytest.mark.parametrize("explicit", [False, True], ids=["fused", "explicit"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("extra", EXTRA)
def test_tokens_are_folded_to_their_grid(extra: str, n: int, explicit: bool) -> None:
    front, behind = EXTRA[extra]
    fg = fgl.full_gradients(TinyViT(front, behind, explicit=explicit), photographs(n), 1)
    folded = 0
    for name, term in fg.bias_gradients.items():
        expected = by_hand(term.values, front, front + HEIGHT * WIDTH + behind)
        layout = fg.sites[name].layout
        assert (layout is None) == (expected is None), (name, term.values.shape)
        if layout is not None and expected is not None:
            assert term.spatial == ("NCHW" if name == "patches" else "tokens")
            assert torch.equal(layout.fold(term.values), expected), name
            folded += 1
    assert folded >= 2 * 7 + 2  # norm, qkv, attention, out, up, gelu, down; patches, position


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("extra", EXTRA)
def test_scores_have_no_place_but_what_they_weigh_has(extra: str, n: int) -> None:
    model = TinyViT(*EXTRA[extra], explicit=True)
    sites = fgl.attribution_budget(model, photographs(n), 1).sites
    for block in ("blocks.0", "blocks.1"):
        assert sites[f"{block}.matmul"].spatial is None
        assert sites[f"{block}.softmax"].spatial is None
        assert sites[f"{block}.matmul#2"].spatial == "tokens"
        assert sites[f"{block}.out"].spatial == "tokens"
    assert sites["head"].spatial is None


@pytest.mark.parametrize("extra", EXTRA)
def test_a_changed_patch_shows_where_it_lies(extra: str) -> None:
    """The embedding of one patch changes; folded as a site, the change is at that patch alone."""
    model, x = TinyViT(*EXTRA[extra]), photographs(2)
    seen: list[Tensor] = []
    model.embedding.register_forward_hook(lambda module, inputs, y: seen.append(y.detach()))
    layout = fgl.attribution_budget(model, x, 1).sites["add"].layout
    assert layout is not None
    for row, column in ((0, 1), (2, 0), (1, 4)):
        changed, own = (
            x.clone(),
            (slice(row * PATCH, (row + 1) * PATCH), slice(column * PATCH, (column + 1) * PATCH)),
        )
        changed[1, :, own[0], own[1]] += 1
        model(x), model(changed)
        change = layout.fold(seen[-1] - seen[-2]).abs().sum(1).nonzero()
        assert change.tolist() == [[1, row, column]]


@pytest.mark.parametrize("extra", EXTRA)
def test_map_and_coverage_of_a_transformer(extra: str) -> None:
    front, behind = EXTRA[extra]
    model, x = TinyViT(front, behind, explicit=True), photographs(2)
    fg = fgl.full_gradients(model, x, 1)
    expected = (fg.input_gradient * x).abs().sum(1, keepdim=True)
    placed, total = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    for term in fg.bias_gradients.values():
        total += term.values.abs().flatten(1).sum(1)
        on_image = by_hand(term.values, front, front + HEIGHT * WIDTH + behind)
        if on_image is not None:
            size = on_image.abs().sum(1, keepdim=True)
            placed += size.sum((1, 2, 3))
            expected = expected + F.interpolate(
                size, x.shape[2:], mode="bilinear", align_corners=False
            )
    assert_near(FullGrad("abs")(model, x, 1), expected, 1e-10)
    torch.testing.assert_close(FullGrad().coverage(model, x, 1), placed / total)
    assert (placed < total).all()


@pytest.mark.parametrize("sites", ["all", "bias"])
def test_each_sample_is_the_same_alone(sites: str) -> None:
    model, x = TinyViT(1, 2), photographs(3)
    together = FullGrad(sites=sites)(model, x, torch.tensor([2, 0, 1]))
    alone = [FullGrad(sites=sites)(model, x[i : i + 1], (2, 0, 1)[i]) for i in range(3)]
    assert_near(together, torch.cat(alone), 1e-10)


@pytest.mark.parametrize("n", [1, 3, 17])
def test_vit_of_torchvision(n: int) -> None:
    """(N, L, C), (L, N, C), (L·N, C) and (N, heads, L, d), L = 17: of one size with N = 17."""
    model = redraw(tv.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5)).eval()
    fg = fgl.full_gradients(model, images(n, 3, 32, 32), 1)
    for name, term in fg.bias_gradients.items():
        values, site = term.values, fg.sites[name]
        if name in ("conv_proj", "heads.head"):
            assert site.spatial == ("NCHW" if name == "conv_proj" else None)
            continue
        if name.endswith("self_attention.linear"):  # (L, N, 3·C)
            values = values.transpose(0, 1)
        elif name.endswith("self_attention.linear#2"):  # (L·N, C)
            values = values.view(17, n, 16).transpose(0, 1)
        elif "scaled_dot" in name:
            values = values.transpose(1, 2).flatten(2)
        expected = values[:, 1:].transpose(1, 2).reshape(n, -1, 4, 4)
        assert site.spatial == "tokens" and site.layout is not None
        assert torch.equal(site.layout.fold(term.values), expected), name
    assert len(fg.sites) == 2 * 8 + 5


def convnext() -> nn.Module:
    settings = [CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)]
    return redraw(tv.ConvNeXt(settings, num_classes=5)).eval()


@pytest.mark.parametrize("n", [1, 3])
def test_convnext_holds_channels_last(n: int) -> None:
    fg = fgl.full_gradients(convnext(), images(n, 3, 48, 64), 1)
    # In a block: layer norm, linear, GELU, linear; all else in between is channels-first.
    inside = [name for name in fg.sites if ".block." in name and not name.endswith("block.0")]
    assert len(inside) == 2 * 4
    for name in inside:
        term, layout = fg.bias_gradients[name], fg.sites[name].layout
        assert term.spatial == "NHWC" and layout is not None
        assert torch.equal(layout.fold(term.values), term.values.permute(0, 3, 1, 2))
        assert layout.fold(term.values).shape[2:] in ((12, 16), (6, 8))
    convolutions = [name for name, site in fg.sites.items() if site.op == "conv2d"]
    assert {fg.sites[name].spatial for name in convolutions} == {"NCHW"}


def swin() -> nn.Module:
    small = partial(tv.SwinTransformer, [2, 2], 8, [2, 1], [2, 2], num_classes=5)
    return redraw(small([2, 3])).eval()


@pytest.mark.parametrize("n", [1, 3])
def test_windows_have_no_place(n: int) -> None:
    x = images(n, 3, 16, 24)
    fg = fgl.full_gradients(swin(), x, 1)
    windows = [name for name in fg.sites if ".attn." in name]
    outside = [name for name in fg.sites if ".mlp." in name or ".norm" in name]
    assert len(windows) == 6 + 7 + 6 and len(outside) == 3 * 5 + 1
    for name in windows:
        assert fg.sites[name].spatial is None, name
    for name in outside:
        term, layout = fg.bias_gradients[name], fg.sites[name].layout
        assert term.spatial == "NHWC" and layout is not None, name
        assert torch.equal(layout.fold(term.values), term.values.permute(0, 3, 1, 2))
    alone = torch.cat([FullGrad()(swin(), one[None], 1) for one in x])
    assert_near(FullGrad()(swin(), x, 1), alone, 1e-10)


@pytest.mark.parametrize("n", [1, 4])
def test_a_transposed_image_is_not_mistaken_for_the_image(n: int) -> None:
    """(N, W, H, C) is shaped like the NHWC of an image of another format."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), Permute([0, 3, 2, 1]), nn.Linear(4, 4), nn.GELU(),
        Permute([0, 3, 2, 1]), nn.GELU(), nn.Flatten(), nn.Linear(4 * 30, 5),
    )  # fmt: skip
    sites = fgl.attribution_budget(redraw(net), images(n, 3, 5, 6), 1).sites
    places = {name: site.spatial for name, site in sites.items()}
    assert places == {"0": "NCHW", "2": None, "3": None, "5": "NCHW", "7": None}
