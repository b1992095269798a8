"""Peak memory of the streaming functions against a bare forward and input-gradient pass.

    python -m benchmarks.memory [--model vgg16] [--size 224] [--batch 1] [--device cpu]

Each measurement is a process of its own, so that no allocator remembers the one before. "Beyond
the model" is the peak above what is resident after loading the weights and importing everything;
the bar (1.10) is held against that, the stricter of the two ratios. On a GPU it is allocated rather
than resident memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

CASES = ("bare", "attribution_budget", "layer_maps", "fullgrad_bias", "fullgrad_all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="vgg16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(*measure(options.case, options.model, options.size, options.batch, options.device))
        return
    setting = (options.model, options.size, options.batch, options.device)
    medians = {case: peaks(case, *setting, repeats=options.repeats) for case in CASES}
    shape = f"{options.batch}×3×{options.size}×{options.size}"
    print(f"{options.model}, {shape}, float32, {options.device}")
    print(f"{'case':20} {'peak MiB':>9} {'ratio':>6} {'beyond the model MiB':>21} {'ratio':>6}")
    for case, (total, beyond) in medians.items():
        ratio, stricter = (a / b for a, b in zip((total, beyond), medians["bare"], strict=True))
        print(f"{case:20} {total:9.0f} {ratio:6.3f} {beyond:21.0f} {stricter:6.3f}")


def peaks(
    case: str, name: str, size: int, batch: int, device: str, *, repeats: int
) -> tuple[float, float]:
    """Medians of ``measure`` over processes of their own."""
    rows = [_child(case, name, size, batch, device) for _ in range(repeats)]
    total, beyond = (statistics.median(column) for column in zip(*rows, strict=True))
    return total, beyond


def _child(case: str, name: str, size: int, batch: int, device: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.memory", "--case", case, "--model", name]
    command += ["--size", str(size), "--batch", str(batch), "--device", device]
    # Freed blocks are returned immediately, or the peak would depend on the allocator.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()]


def measure(case: str, name: str, size: int, batch: int, device: str) -> tuple[float, float]:
    """Peak memory, and its excess over the memory before the pass, in MiB."""
    import torch
    import torchvision

    import fullgrad_lightning as fgl

    def bare(model: torch.nn.Module, x: torch.Tensor) -> None:
        leaf = x.clone().requires_grad_()
        torch.autograd.grad(model(leaf).amax(1).sum(), leaf)

    run = {
        "bare": bare,
        "attribution_budget": fgl.attribution_budget,
        "layer_maps": fgl.layer_maps,
        "fullgrad_bias": fgl.FullGrad(sites="bias"),
        "fullgrad_all": fgl.FullGrad(sites="all"),
    }
    model = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
    model, x = model.to(device), torch.rand(batch, 3, size, size, device=device)
    small = size if name.startswith("vit_") else 64  # vision transformers take one size only
    run[case](model, x[:1, :, :small, :small])  # imports, thread pools and kernels
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated() / 2**20
        run[case](model, x)
        peak = torch.cuda.max_memory_allocated() / 2**20
        return peak, peak - held
    with open("/proc/self/clear_refs", "w") as peak_marker:
        peak_marker.write("5")  # resets the peak, which loading has reached
    before = status("VmRSS")
    run[case](model, x)
    peak = status("VmHWM")
    return peak, peak - before


def status(field: str) -> float:
    """A memory figure of this process in MiB (Linux)."""
    with open("/proc/self/status") as lines:
        line = next(line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
