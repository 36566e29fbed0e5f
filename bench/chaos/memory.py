"""How fast the memory of a running Rayline grows while parts of it die and are made anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from bench import figures, processes

EVERY_S = 5.0
NOT_OURS = {"bench", "redis", "gone"}  # the drill itself, and results it keeps on purpose


class Memory:
    """Samples of what all of Ray's and Rayline's processes hold, by name."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, Mapping[str, float]]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    def start(self) -> None:
        """Sample from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stopped.set()
        self._thread.join(5)

    def slopes_mb_per_min(self, warm_up_s: float) -> dict[str, float | None]:
        """See `slope`: of each name, and of `all` together. None while there are too few samples behind the warm-up."""
        began = self._samples[0][0] if self._samples else 0.0
        samples = [sample for sample in self._samples if sample[0] - began >= warm_up_s]
        names = sorted({name for _, held in samples for name in held})
        by_name = {name: slope([(at, held.get(name, 0.0)) for at, held in samples]) for name in names}
        return {"all": slope([(at, sum(held.values())) for at, held in samples]), **by_name}

    def _watch(self) -> None:
        while not self._stopped.wait(EVERY_S):
            held = {name: mb for name, mb in processes.rss_mb().items() if name not in NOT_OURS}
            self._samples.append((time.monotonic(), held))


def slope(samples: Sequence[tuple[float, float]]) -> float | None:
    """MB a minute, as `figures.slope`."""
    found = figures.slope(samples)
    return None if found is None else round(found.per_s * 60, 2)
