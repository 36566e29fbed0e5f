"""The history's process: `rayline history` for people; beside the graph it is told its configuration by a pipe."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson

from pipeline.children import told_by_parent
from pipeline.manners import let_the_line_go_first
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig
    from pipeline.history.database import Database
    from pipeline.history.running import History, MakePart
    from pipeline.sinks.redis_client import RedisSettings

logger = logging.getLogger(__name__)

MODULE = "pipeline.recording"


def history_of(config: RaylineConfig, redis: RedisSettings) -> History:
    """All that works on the history, as configured. Raises HistoryMisconfigured."""
    from pipeline.history.running import History, HistorySpec

    assert config.history is not None  # noqa: S101 - else nobody asks for it
    more = {"alarms": _alarms(config, redis)}
    return History(HistorySpec(config.history, redis, config.line_ids(), config.history_folder(), more))


async def keep(history: History, stopping: Callable[[], None] = lambda: None) -> None:
    """Until Ctrl-C or SIGTERM, which `stopping` hears of first. Raises HistoryIsNewer."""

    def stop() -> None:
        stopping()
        history.finish()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await history.run()


def main() -> None:
    """What `rayline up` starts."""
    told = told_by_parent()  # before the imports, which take a second
    let_the_line_go_first()
    from pipeline.config import config_of_data
    from pipeline.masking import mask
    from pipeline.observe.logs import set_up_logs

    config = config_of_data(orjson.loads(told), "the configuration of `rayline up`")
    set_up_logs(config.observe, process="history")
    try:
        asyncio.run(_keep(config))
    except RaylineError as exc:
        logger.error("nothing is kept in the history: %s", mask(str(exc)))  # noqa: TRY400 - it says all
        raise SystemExit(1) from None


async def _keep(config: RaylineConfig) -> None:
    history = history_of(config, config.redis_settings())
    logger.info("the history is kept in %s", history.address)
    await keep(history)


def _alarms(config: RaylineConfig, redis: RedisSettings) -> MakePart:
    from pipeline.alarms.running import Alarms

    def make(db: Database) -> Alarms:
        return Alarms(config.alarms, db, redis, config.line_ids(), config.plant)

    return make


if __name__ == "__main__":
    main()
