"""The command ``fullgrad``. Torch is imported when there is something to run, not for help."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from fullgrad_lightning.cli.parser import COMMANDS, STUDIES, TRAINING, command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs ``fullgrad ARGV``.

    Args:
        argv: Default: those of the process.

    Returns:
        0; 130 where the user interrupted it; of ``roar`` and the studies, 1 or 2, see there.

    Raises:
        SystemExit: After ``--help`` and ``--version`` (0), and for arguments that do not exist (2).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("\nfullgrad: interrupted", file=sys.stderr)
        return 130  # what shells use for it


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
    if command in TRAINING and not {"-h", "--help"} & set(arguments):
        from fullgrad_lightning.cli.lightning_cli import train

        try:
            train(["--help" if word == "--help-all" else word for word in arguments])
        except FileNotFoundError as error:  # of data that is not where it was said to be
            print(f"fullgrad {command}: {error}", file=sys.stderr)
            return 2
        return 0
    if command in STUDIES and not {"-h", "--help"} & set(arguments):
        from fullgrad_lightning.cli import studies

        study: Callable[[list[str]], int] = getattr(studies, command)
        return study(["--help" if word == "--help-all" else word for word in arguments[1:]])
    options = parser.parse_args(arguments)
    if command == "roar":
        from fullgrad_lightning.cli.roar import roar

        return roar(options)

    from fullgrad_lightning.cli.demo import demo

    demo(options)
    return 0
