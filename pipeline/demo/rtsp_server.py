"""An RTSP server for the demo line and the tests: cameras that render, and faults on demand."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import math
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote

from pipeline.demo.encoder import StreamSettings
from pipeline.demo.live import LiveStream, OnFrame, PictureAt
from pipeline.demo.loop import Loop
from pipeline.demo.rtp import EncodedFrame
from pipeline.demo.rtsp_auth import Login, Scheme
from pipeline.demo.rtsp_connection import Connection
from pipeline.demo.rtsp_viewer import Mount

__all__ = ["OnFrame", "PathStats", "PictureAt", "RtspServer", "StreamSettings"]

logger = logging.getLogger(__name__)

_CALL_TIMEOUT_S = 5.0
_START_TIMEOUT_S = 5.0
_SEND_BUFFER_BYTES = 256 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PathStats:
    """What goes on at one path."""

    clients: int  # connections that play
    frames_encoded: int  # by the stream, whichever path asked for it
    frames_dropped: int  # not sent to viewers that are too slow, of those connected now


class RtspServer:
    """Serves live streams over RTSP (TCP-interleaved and UDP) from its own threads.

    Use as a context manager, or `start` and `stop`; a server stopped, or killed, starts again on the same port. Frame n
    of a path is rendered at `first_frame_wall(path) + n / fps`, and its sender reports tell receivers so. Methods may
    be called from any thread.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        user: str | None = None,
        password: str | None = None,
        auth: Scheme = "digest",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`port` 0 takes a free one. With `user` and `password`, only they are let in. With `tls`, it is rtsps."""
        if (user is None) != (password is None):
            raise ValueError("a login needs both user and password")
        self.login = None if user is None or password is None else Login(user, password, auth)
        self._host, self._port, self._tls = host, port, tls
        self._mounts: dict[str, Mount] = {}
        self._streams: list[LiveStream] = []
        self._connections: dict[Connection, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._server: asyncio.Server | None = None
        self._mute = False

    # -- streams

    def add_stream(
        self,
        path: str,
        settings: StreamSettings,
        picture_at: PictureAt,
        on_frame: OnFrame | None = None,
        realtime: bool = True,
    ) -> None:
        """A camera under `path`. Frames are rendered only while somebody plays it.

        `picture_at(n)` gives (H, W, 3) uint8 RGB of any size; it runs in the stream's thread, as does
        `on_frame(n, captured_at)`, called after each. When rendering is late by more than 0.25 s, frame numbers are
        skipped; with `realtime` False none ever is, and frames come late. Raises ValueError if the path is taken.
        """
        self._add(path, self._new_stream(settings, picture_at, on_frame, 0.25 if realtime else math.inf))

    def add_loop(self, path: str, loop: Loop, on_frame: OnFrame | None = None) -> None:
        """A camera under `path` that sends a loop, frame n being its picture n modulo its length; none is skipped.

        A newcomer waits for the loop's next keyframe, as at most real cameras. Raises ValueError if the path is taken.
        """
        self._add(path, self._new_stream(loop.settings, loop, on_frame, math.inf))

    def add_alias(self, path: str, other_path: str) -> None:
        """Another camera that shows what `other_path` shows, from the same encoder; its faults are its own."""
        mount = Mount(_clean(path), self._mount(other_path).stream)
        self._check_free(mount.path)
        self._mounts[mount.path] = mount

    def url(self, path: str, with_credentials: bool = True) -> str:
        """Where a client finds a path, user and password included unless told otherwise."""
        login = ""
        if self.login is not None and with_credentials:
            login = f"{quote(self.login.user, safe='')}:{quote(self.login.password, safe='')}@"
        host, port = self.address
        return f"{'rtsps' if self._tls else 'rtsp'}://{login}{host}:{port}/{_clean(path)}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the port is known once started."""
        return self._host, self._port

    def first_frame_wall(self, path: str) -> float:
        """Unix seconds of frame 0: frame n shows at this + n / fps (after `set_fps`: as if that had always been it)."""
        return self._mount(path).stream.pace.first_frame_wall

    def captured_at(self, path: str, number: int) -> float:
        """Unix seconds at which frame `number` shows."""
        return self._mount(path).stream.pace.captured_at(number)

    def stats(self, path: str) -> PathStats:
        """Counts of one path."""
        return self._on_loop(functools.partial(_stats, self._mount(path)))

    def error(self, path: str) -> Exception | None:
        """What ended the path's encoder, if anything did (`picture_at` raised)."""
        return self._mount(path).stream.error

    # -- life

    def start(self) -> None:
        """Listen. Raises OSError if the port cannot be had."""
        if self._thread is not None:
            raise RuntimeError("the server runs already")
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="rtsp-server", daemon=True)
        self._thread.start()
        try:
            started.result(_START_TIMEOUT_S)
            for stream in self._streams:
                stream.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Close everything; no thread and no socket stays. Raises TimeoutError if a `picture_at` does not return."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._stop_loop)
            for stream in self._streams:
                closing.callback(stream.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- faults, each usable while running

    def freeze(self, path: str) -> None:
        """Stop sending; connections stay and requests are answered."""
        self._on_loop(functools.partial(setattr, self._mount(path), "frozen", True))

    def thaw(self, path: str) -> None:
        """Send again, from a keyframe."""
        mount = self._mount(path)
        self._on_loop(functools.partial(setattr, mount, "frozen", False))
        self._on_loop(mount.restart_viewers)

    def kick(self, path: str) -> None:
        """Close the connections that have set up this path."""
        self._on_loop(self._mount(path).drop_connections)

    def refuse(self, path: str, status: int | None) -> None:
        """Answer newcomers with an RTSP status (404, 503, 401 ...); None serves them again."""
        self._on_loop(functools.partial(setattr, self._mount(path), "refusal", status))

    def mute(self, on: bool = True) -> None:
        """Accept connections and read requests, but never answer."""
        self._mute = on

    def change_size(self, path: str, width: int, height: int) -> None:
        """Another picture size from the next frame on, on all paths of the stream."""
        self._mount(path).stream.change_size(width, height)

    def set_fps(self, path: str, fps: float) -> None:
        """Another frame rate from the next frame on, on all paths of the stream."""
        self._mount(path).stream.change_fps(fps)

    def skew_clock(self, path: str, offset_s: float) -> None:
        """Let this path's sender reports speak for a clock `offset_s` ahead of ours."""
        self._on_loop(functools.partial(setattr, self._mount(path), "clock_offset_s", offset_s))

    def send_reports(self, path: str, on: bool) -> None:
        """Whether this path sends sender reports."""
        self._on_loop(functools.partial(setattr, self._mount(path), "reports", on))

    def kill(self) -> None:
        """Go as a crashed server goes: connections reset, port closed. `revive` brings it back."""
        self._on_loop(self._kill)

    def revive(self) -> None:
        """Listen again on the same port after `kill`; frame numbers went on meanwhile."""
        if self._loop is None:
            raise RuntimeError("the server does not run")
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(_CALL_TIMEOUT_S)

    # -- what connections ask (House)

    @property
    def is_mute(self) -> bool:
        """Whether requests are read and never answered."""
        return self._mute

    def mount(self, path: str) -> Mount | None:
        """The camera under a path, if there is one."""
        return self._mounts.get(_clean(path))

    def viewers_changed(self, mount: Mount) -> None:
        """Let the stream render while any of its paths is watched."""
        mount.stream.watch(any(other.watched for other in self._mounts_of(mount.stream)))

    # -- inside

    def _add(self, path: str, stream: LiveStream) -> None:
        mount = Mount(_clean(path), stream)
        self._check_free(mount.path)
        if self._loop is not None:
            stream.start()
        self._streams.append(stream)
        self._mounts[mount.path] = mount

    def _new_stream(
        self, settings: StreamSettings, pictures: PictureAt | Loop, on_frame: OnFrame | None, late_s: float
    ) -> LiveStream:
        stream = LiveStream(
            settings,
            pictures,
            deliver=lambda frame, sent: self._call_soon(self._deliver, stream, frame, sent),
            on_frame=on_frame,
            on_failure=lambda: self._call_soon(self._drop_all_of, stream),
            late_s=late_s,
        )
        return stream

    def _check_free(self, path: str) -> None:
        if path in self._mounts:
            raise ValueError(f"path {path!r} is taken")

    def _mount(self, path: str) -> Mount:
        mount = self.mount(path)
        if mount is None:
            raise KeyError(f"no path {path!r}; there are {sorted(self._mounts)}")
        return mount

    def _mounts_of(self, stream: LiveStream) -> list[Mount]:
        return [mount for mount in tuple(self._mounts.values()) if mount.stream is stream]

    def _deliver(self, stream: LiveStream, frame: EncodedFrame, sent: Callable[[], None]) -> None:
        sent()
        for mount in self._mounts_of(stream):
            mount.take(frame)

    def _drop_all_of(self, stream: LiveStream) -> None:
        for mount in self._mounts_of(stream):
            mount.drop_connections()

    def _call_soon(self, function: Callable[..., Any], *args: Any) -> None:
        """Run on the loop, if there still is one."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # closed between the two lines
                loop.call_soon_threadsafe(function, *args)

    def _on_loop(self, function: Callable[[], T]) -> T:
        """Run on the loop's thread and wait for the answer; here, when there is no loop."""
        if self._loop is None:
            return function()

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(_CALL_TIMEOUT_S)

    def _run(self, started: concurrent.futures.Future[None]) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            try:
                runner.run(self._listen())
            except OSError as exc:
                started.set_exception(exc)
                return
            self._loop = loop
            started.set_result(None)
            try:
                loop.run_forever()
            finally:
                self._loop = None
                runner.run(self._close_all())

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self._port, ssl=self._tls, limit=16 * 1024)
        self._port = self._server.sockets[0].getsockname()[1]
        logger.info("RTSP server listens on %s:%d", self._host, self._port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        raw: socket.socket = writer.get_extra_info("socket")
        # A small kernel buffer: a slow viewer is noticed soon, and Nagle would hold back the end of a frame.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(self, reader, writer)
        self._connections[connection] = task
        try:
            await connection.serve()
        finally:
            del self._connections[connection]

    def _kill(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()

    async def _close_all(self) -> None:
        self._kill()
        serving = tuple(self._connections.values())
        if serving:
            await asyncio.wait(serving, timeout=2.0)
        await asyncio.sleep(0)  # aborted transports let go of their sockets one turn later

    def _stop_loop(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join(_CALL_TIMEOUT_S)
            if thread.is_alive():
                raise TimeoutError(f"the server thread did not end within {_CALL_TIMEOUT_S:g} s")
            self._thread = None


def _clean(path: str) -> str:
    return path.strip("/")


def _stats(mount: Mount) -> PathStats:
    playing = sum(viewer.playing for viewer in mount.viewers)
    return PathStats(playing, mount.stream.frames_encoded, sum(viewer.frames_dropped for viewer in mount.viewers))
