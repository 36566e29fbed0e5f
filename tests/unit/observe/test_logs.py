"""Each line tells camera and shard, in both forms, and no password gets through."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pipeline.observe.logs import LogSettings, bind_log_context, log_context, set_up_logs
from pipeline.observe.settings import LogFormat, LogLevel

SECRET = "hush-hush"
ADDRESS = f"rtsp://viewer:{SECRET}@192.0.2.1/a"


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def logged(form: LogFormat = LogFormat.JSON, level: LogLevel = LogLevel.INFO) -> io.StringIO:
    stream = io.StringIO()
    set_up_logs(LogSettings(log=form, level=level), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_stdlib_lines_come_out_as_json_with_camera_and_shard() -> None:
    stream = logged()
    with log_context(camera="cam-1", shard="m-1"):
        logging.getLogger("pipeline.x").warning("lost after %d frames", 3)
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("lost after 3 frames", "warning", "pipeline.x")
    assert (line["camera"], line["shard"]) == ("cam-1", "m-1")
    assert line["timestamp"].endswith("Z")


def test_structlog_lines_come_out_the_same_way() -> None:
    stream = logged()
    structlog.get_logger("pipeline.y").info("opened", camera="cam-2")
    (line,) = lines(stream)
    assert (line["event"], line["camera"], line["level"]) == ("opened", "cam-2", "info")


def test_the_context_ends_with_its_block() -> None:
    stream = logged()
    with log_context(camera="cam-1"):
        pass
    logging.getLogger().warning("after")
    assert "camera" not in lines(stream)[0]


def test_a_bound_context_stays() -> None:
    stream = logged()
    bind_log_context(shard="m-1")
    logging.getLogger().warning("a")
    logging.getLogger().warning("b")
    assert [line["shard"] for line in lines(stream)] == ["m-1", "m-1"]


def test_what_the_process_is_stands_on_the_lines_of_every_thread() -> None:
    stream = io.StringIO()
    set_up_logs(LogSettings(log=LogFormat.JSON), stream, shard="m-1")
    thread = threading.Thread(target=logging.getLogger("x").warning, args=("in a thread",))
    thread.start()
    thread.join()
    structlog.get_logger().warning("here")
    assert [line["shard"] for line in lines(stream)] == ["m-1", "m-1"]


def test_rays_own_marks_are_not_told() -> None:
    stream = logged()
    record = logging.getLogger("x").makeRecord("x", logging.WARNING, "", 0, "a", (), None, extra={"camera": "cam-1"})
    record._ray_timestamp_ns = 1  # as Ray's record factory does, in a process that imported it
    logging.getLogger("x").handle(record)
    (line,) = lines(stream)
    assert line["camera"] == "cam-1"
    assert not any(key.startswith("_ray") for key in line)


def test_what_serve_says_of_itself_is_not_told_but_its_warnings_are() -> None:
    logged()
    serve = logging.getLogger("ray.serve")  # where Ray is imported, it has a handler of its own
    assert not serve.isEnabledFor(logging.INFO)
    assert serve.isEnabledFor(logging.WARNING)


@pytest.mark.parametrize(
    ("level", "told"), [(LogLevel.DEBUG, 3), (LogLevel.INFO, 2), (LogLevel.WARNING, 1), (LogLevel.ERROR, 0)]
)
def test_nothing_below_the_level_is_told(level: LogLevel, told: int) -> None:
    stream = logged(level=level)
    for method in (logging.debug, logging.info, logging.warning):
        method("x")
    assert len(lines(stream)) == told


def _by_message() -> None:
    logging.getLogger("x").warning(f"cannot open {ADDRESS}")  # noqa: G004 - what a careless caller does


def _by_argument() -> None:
    logging.getLogger("x").warning("cannot open %s", ADDRESS)


def _fail() -> None:
    raise ConnectionError(ADDRESS)


def _by_traceback() -> None:
    try:
        _fail()
    except ConnectionError:
        logging.getLogger("x").exception("failed")


def _by_value() -> None:
    structlog.get_logger().warning("open", url=ADDRESS, tried=[ADDRESS], options={"url": ADDRESS})


def _by_key() -> None:
    structlog.get_logger().warning("login", password=SECRET, options={"token": SECRET})


def _by_extra() -> None:
    logging.getLogger("x").warning("open", extra={"url": ADDRESS})


def _by_error_as_value() -> None:
    structlog.get_logger().warning("open", error=ConnectionError(ADDRESS))


@pytest.mark.parametrize("form", list(LogFormat))
@pytest.mark.parametrize(
    "log", [_by_message, _by_argument, _by_traceback, _by_value, _by_key, _by_extra, _by_error_as_value]
)
def test_no_password_gets_through(form: LogFormat, log: Any) -> None:
    stream = logged(form)
    log()
    assert stream.getvalue()
    assert SECRET not in stream.getvalue()


def test_setting_up_twice_tells_each_line_once() -> None:
    logged()
    stream = logged()
    logging.getLogger("x").warning("once")
    assert len(lines(stream)) == 1


def test_the_console_form_is_one_line_for_people() -> None:
    stream = logged(LogFormat.CONSOLE)
    with log_context(camera="cam-1"):
        logging.getLogger("x").warning("lost")
    (line,) = stream.getvalue().splitlines()
    assert "lost" in line
    assert "camera=cam-1" in line
    assert "\x1b" not in line
