"""Names of fills and orders without torch, for command lines that only show them."""

from __future__ import annotations

import subprocess
import sys


def test_names_are_imported_without_torch() -> None:
    code = (
        "import sys; from fullgrad_lightning.masking.options import FILLS, ORDERS; "
        "print(*FILLS, *ORDERS, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = "mean black blur noisy_linear least_salient most_salient"
    assert done.stdout.strip() == f"{names} False"
