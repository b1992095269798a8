"""A process that does what the file ``does`` in its folder says; no torch, so it starts at once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path) -> None:
    does = (folder / "does").read_text()
    begin = time.monotonic()
    if does == "environment":
        print("printed", flush=True)
        print("and an error", file=sys.stderr)
        content = {"environment": dict(os.environ), "session": os.getsid(0), "process": os.getpid()}
        (folder / "environment.json").write_text(json.dumps(content))
    elif does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "share":
        time.sleep(0.2)
        (folder / "span.json").write_text(
            json.dumps([begin, time.monotonic(), os.environ["SHARE"]])
        )
    else:

        def asked(*_: object) -> None:
            (folder / "asked").touch()
            if does == "end when asked":
                sys.exit(1)

        signal.signal(signal.SIGTERM, asked)
        (folder / "ready").touch()
        while True:
            time.sleep(0.05)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
