"""What jsonargparse says of a class that a user named, in fewer words."""

from __future__ import annotations

import re
import textwrap


def shorten_class_error(text: str) -> str:
    """What is wrong with a class, without the other types that jsonargparse tries besides.

    Args:
        text: Of its error.

    Returns:
        The same, or a line or two of it.
    """
    found = re.search(
        r"""Parser key "(\w+)".*? class_path ('.*?'):\n(.*?)\n(    - Expected|  Given)""",
        text, re.DOTALL,
    )  # fmt: skip
    if found is not None:
        text = f"{found[1]}.class_path {found[2]}: {textwrap.dedent(found[3])}"
    hint = "\nIs the folder of that module on PYTHONPATH?" if "No module named" in text else ""
    if found is not None and "is not accepted" in text:
        hint = f"\nWhich there are: fullgrad fit --{found[1]}.help {found[2].strip(chr(39))}"
    return text + hint
