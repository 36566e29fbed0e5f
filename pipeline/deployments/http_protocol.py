"""The HTTP server inside Serve's proxies, with an end to everything a client may leave open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from pipeline.control.access.addresses import TrustedProxies, site_of

HEAD_TIMEOUT_S = 10.0  # from the connection, or a request's first byte, to the end of its headers
BODY_LEFT_S = 5.0  # for a body that nobody reads any more: hanging up at once would lose the answer on its way
TAKE_TIMEOUT_S = 20.0  # for a client to take what was sent to it
MOST_HEAD_BYTES = 64 * 1024  # twice what is let in, for an answer in words to the lesser excess
MOST_MESSAGE_BYTES = 16 * 1024  # of a WebSocket, from the client
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Places:
    """So many connections, and of one address a quarter of them; who waits longest makes room for who comes.

    The addresses of proxies are not counted: they speak for many.
    """

    def __init__(self, most: int, proxies: TrustedProxies) -> None:
        self._most = most
        self._most_each = max(1, most // 4)
        self._proxies = proxies
        self._peers: dict[asyncio.BaseTransport, str] = {}
        self._by_peer: Counter[str] = Counter()
        self._waiting: dict[asyncio.Transport, None] = {}  # for a request, the longest first

    def take(self, transport: asyncio.Transport, peer: str) -> bool:
        """False where there is none."""
        owner = site_of(peer)
        if self._by_peer[owner] >= self._most_each and peer not in self._proxies and not self._make_room(owner):
            return False
        if len(self._peers) >= self._most and not self._make_room():
            return False
        self._peers[transport] = owner
        self._by_peer[owner] += 1
        return True

    def waits(self, transport: asyncio.Transport, waits: bool) -> None:
        """Whether it has no request under way."""
        if not waits:
            self._waiting.pop(transport, None)
        elif transport in self._peers:
            self._waiting.setdefault(transport)

    def leave(self, transport: asyncio.Transport) -> None:
        """It is closed; one that had no place may leave too."""
        self._waiting.pop(transport, None)
        peer = self._peers.pop(transport, None)
        if peer is None:
            return
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def _make_room(self, owner: str | None = None) -> bool:
        """Hang up on who waits longest, of one owner's where it is his places that are full."""
        longest = next((one for one in self._waiting if owner is None or self._peers[one] == owner), None)
        if longest is None:
            return False
        self.leave(longest)
        longest.abort()
        return True


class Alarm:
    """Does something later, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float, action: Callable[[], object]) -> None:
        self._loop, self._delay_s, self._action = loop, delay_s, action
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """One that runs already goes on."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._delay_s, self._action)

    def run_while(self, wanted: bool) -> None:
        """Start it or stop it."""
        if wanted:
            self.start()
        else:
            self.stop()

    def stop(self) -> None:
        """May be called at any time."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class GuardedHttp(H11Protocol):
    """uvicorn's own on h11, which bounds the head of a request, with places and deadlines."""

    def __init__(self, places: Places, config: Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        self.conn = h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
        self.ws_protocol_class = partial(GuardedWebSocket, places)  # type: ignore[assignment]  # called as a class is
        self._places = places
        self._head = Alarm(self.loop, HEAD_TIMEOUT_S, self._hang_up)
        self._left = Alarm(self.loop, BODY_LEFT_S, self._hang_up)
        self._taking = Alarm(self.loop, TAKE_TIMEOUT_S, self._give_up)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Called by the loop."""
        super().connection_made(transport)
        if not self._places.take(transport, self.client[0] if self.client else ""):
            transport.write(_FULL)
            transport.close()
            return
        self._head.start()
        self._places.waits(transport, True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._stop_alarms()
        self._places.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self.transport.is_closing():  # it may have been told that there is no place
            return
        super().data_received(data)
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Another protocol takes the connection over, and its place with it."""
        self._stop_alarms()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Called by the request's cycle."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """Called by the loop: the client takes less than is sent."""
        super().pause_writing()
        self._taking.start()

    def resume_writing(self) -> None:
        """Called by the loop."""
        super().resume_writing()
        self._taking.stop()

    def _look(self) -> None:
        """What the client owes us now: a head, the rest of a body that is of no use any more, or nothing."""
        if self.transport.is_closing():
            return
        waits = self.conn.their_state is h11.IDLE
        self._places.waits(self.transport, waits)
        self._head.run_while(waits and self.timeout_keep_alive_task is None)  # else uvicorn's own time runs
        self._left.run_while(self.conn.their_state is h11.SEND_BODY and self.conn.our_state is h11.DONE)

    def _hang_up(self) -> None:
        self.transport.close()

    def _give_up(self) -> None:
        self.transport.abort()  # closing would wait for what nobody takes

    def _stop_alarms(self) -> None:
        for alarm in (self._head, self._left, self._taking):
            alarm.stop()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's own, in the place its connection has since it was HTTP."""

    def __init__(self, places: Places, config: Config, *args: Any, **kwargs: Any) -> None:
        config.ws_max_size = MOST_MESSAGE_BYTES
        super().__init__(config, *args, **kwargs)
        self._places = places
        self._taking = Alarm(self.loop, TAKE_TIMEOUT_S, lambda: self.transport.abort())

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._taking.stop()
        self._places.leave(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by the loop: the client takes less than is sent."""
        super().pause_writing()
        self._taking.start()

    def resume_writing(self) -> None:
        """Called by the loop."""
        super().resume_writing()
        self._taking.stop()
