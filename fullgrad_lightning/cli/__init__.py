"""The command ``fullgrad``. Its help imports no torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from fullgrad_lightning._version import __version__
from fullgrad_lightning.cli import demo, perturb, roar, sanity, training

# Commands in the order of the help.
COMMANDS = ("demo", *training.SUMMARIES, "perturb", "sanity", "roar")
# Commands that parse their arguments themselves, with jsonargparse.
_JSONARGPARSE: dict[str, Callable[[list[str]], int]] = {
    **dict.fromkeys(training.SUMMARIES, training.run),
    "perturb": perturb.run,
    "sanity": sanity.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fullgrad ARGV``.

    Args:
        argv: The arguments; default: those of the process.

    Returns:
        0; 130 if the user interrupted it; 1 or 2 after a failure, see the commands.

    Raises:
        SystemExit: After ``--help`` and ``--version`` (0), and for arguments that do not exist (2).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("\nfullgrad: interrupted", file=sys.stderr)
        return 130  # the convention of shells


def command_line() -> argparse.ArgumentParser:
    """The parser of ``demo`` and ``roar``, which also has the help of all other commands."""
    parser = argparse.ArgumentParser(
        "fullgrad",
        description="Full-gradient saliency maps for PyTorch Lightning: monitor a training, "
        "evaluate saliency methods.",
    )
    version = f"fullgrad_lightning {__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (demo, training, perturb, sanity, roar):
        module.add_parser(commands)
    return parser


def _run(arguments: list[str]) -> int:
    parser = command_line()
    command = arguments[0] if arguments else None
    if command is None:
        parser.print_help(sys.stderr)
        return 2
    if not command.startswith("-") and command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        parser.error(f"there is no command {command!r}.{hint} There are: {', '.join(COMMANDS)}.")
    if command in _JSONARGPARSE and not {"-h", "--help"} & set(arguments):
        return _JSONARGPARSE[command](
            ["--help" if word == "--help-all" else word for word in arguments]
        )
    options = parser.parse_args(arguments)
    return roar.run(options) if command == "roar" else demo.run(options)
