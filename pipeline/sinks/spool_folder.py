"""The folder of a machine's spools, one file a shard: opened when wanted, set aside when damaged."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.sinks.spool import Spool, SpoolUnavailable, files_of, locked
from pipeline.sinks.spool_settings import SpoolSettings

logger = logging.getLogger(__name__)

_SUFFIX = ".db"
MOST_SET_ASIDE = 3  # damaged files of a shard that are kept


class SpoolFolder:
    """The spools that this process has. Not for several threads at once. `is_given_up`: see Spool."""

    def __init__(self, folder: Path, settings: SpoolSettings, is_given_up: Callable[[], bool] = lambda: False) -> None:
        self.folder = folder
        self._settings = settings
        self._is_given_up = is_given_up
        self._open: dict[str, Spool] = {}

    def spool(self, shard: str) -> Spool:
        """The shard's spool, opened or begun. Raises SpoolBusy, SpoolUnavailable or SpoolBroken."""
        if shard not in self._open:
            self._open[shard] = Spool(self._path(shard), self._settings, self._is_given_up)
        return self._open[shard]

    def left(self) -> list[str]:
        """Shards that have a file here which this process does not have open: another's, or nobody's any more."""
        return sorted(self._shards_on_disk() - self._open.keys())

    def has_file(self, shard: str) -> bool:
        """True where there is something to open."""
        return shard in self._open or self._path(shard).exists()

    def close(self, shard: str) -> None:
        """Let go of the shard's spool; if nothing waits in it the file goes too."""
        spool = self._open.pop(shard, None)
        if spool is not None:
            spool.close()

    def close_all(self) -> None:
        """Let go of all."""
        for shard in list(self._open):
            self.close(shard)

    def set_aside(self, shard: str, now: float | None = None) -> Path:
        """Rename a damaged file, so that a new one can be begun; its name then. Raises SpoolUnavailable."""
        path = self._path(shard)
        if (spool := self._open.pop(shard, None)) is not None:
            spool.abandon()
        aside = f"{path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
        lock = locked(path)
        try:
            for file in files_of(path):
                if file.exists():
                    file.rename(path.with_name(file.name.replace(path.name, aside, 1)))
        except OSError as exc:
            raise SpoolUnavailable(f"spool {path} cannot be set aside: {exc.strerror or exc}") from exc
        finally:
            os.close(lock)
        self._forget_old(path)
        return path.with_name(aside)

    def _forget_old(self, path: Path) -> None:
        kept = sorted(file for file in self.folder.glob(f"{path.name}.corrupt-*Z"))
        for file in kept[:-MOST_SET_ASIDE]:
            for part in files_of(file):
                with suppress(OSError):
                    part.unlink(missing_ok=True)

    def _shards_on_disk(self) -> set[str]:
        try:
            return {unquote(path.stem) for path in self._databases()}
        except OSError as exc:
            logger.warning("spools left in %s cannot be looked for: %s", self.folder, exc.strerror or exc)
            return set()

    def _databases(self) -> Iterator[Path]:
        return self.folder.glob(f"*{_SUFFIX}") if self.folder.is_dir() else iter(())

    def _path(self, shard: str) -> Path:
        return self.folder / f"{quote(shard, safe='')}{_SUFFIX}"
