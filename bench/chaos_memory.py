"""How fast the memory of a running Rayline grows while parts of it die and are made anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from bench import processes

EVERY_S = 5.0
NOT_OURS = {"bench", "redis", "other"}  # the drill itself, and results it keeps on purpose


class Memory:
    """Samples of what all of Ray's and Rayline's processes hold together."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stopped.set()
        self._thread.join(5)

    def slope_mb_per_min(self, warm_up_s: float) -> float | None:
        """See `slope`; None while there are too few samples behind the warm-up."""
        began = self._samples[0][0] if self._samples else 0.0
        return slope([sample for sample in self._samples if sample[0] - began >= warm_up_s])

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            held = sum(mb for name, mb in processes.rss_mb().items() if name not in NOT_OURS)
            self._samples.append((time.monotonic(), held))


def slope(samples: Sequence[tuple[float, float]]) -> float | None:
    """MB a minute: the median over all pairs (Theil and Sen), for each death is a dip and each start a step."""
    if len(samples) < 4:
        return None
    at, held = np.array(samples).T
    first, second = np.triu_indices(len(at), 1)
    return round(float(np.median((held[second] - held[first]) / (at[second] - at[first]))) * 60, 2)
