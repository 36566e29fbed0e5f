"""The processes of the session's Ray, found by what they call themselves."""

from __future__ import annotations

from contextlib import suppress

import psutil


def processes_called(name: str) -> list[psutil.Process]:
    """Those in whose command line the name stands; one that ends while it is asked is none."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if name in " ".join(process.cmdline()):
                found.append(process)
    return found
