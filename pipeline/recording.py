"""The history's own process beside the graph: told its configuration by a pipe, it keeps until its parent ends."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import orjson

from pipeline.children import told_by_parent
from stages.errors import RaylineError

if TYPE_CHECKING:
    from pipeline.config import RaylineConfig

logger = logging.getLogger(__name__)

MODULE = "pipeline.recording"


def main() -> None:
    """What `rayline up` starts."""
    told = told_by_parent()  # before the imports, which take a second
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
    from pipeline.history.running import History, HistorySpec

    assert config.history is not None  # noqa: S101 - else nobody starts this
    spec = HistorySpec(config.history, config.redis_settings(), config.line_ids(), config.history_folder())
    history = History(spec)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, history.finish)
    logger.info("the history is kept in %s", history.address)
    await history.run()


if __name__ == "__main__":
    main()
