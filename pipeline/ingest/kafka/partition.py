"""One partition while this reader has it: its messages in order, through a thread that decodes, to a hand-over."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from pipeline.ingest.handoff import Handoff, HandoffClosed, OnFull
from pipeline.ingest.kafka.av_messages import MessageDecoder
from pipeline.ingest.kafka.cameras import TopicCameras
from pipeline.ingest.kafka.ledger import OffsetLedger
from pipeline.ingest.kafka.marks import CameraMark, PartitionId, PartitionMark, Resume
from pipeline.ingest.kafka.message import Decoded, MessageRefused, RawMessage, Refusal, camera_of
from pipeline.ingest.kafka.topic_settings import TopicSettings
from pipeline.masking import mask
from pipeline.observe.logs import bind_log_context
from stages.values import CameraId, Clock, Frame, Position

logger = logging.getLogger(__name__)

_LOOK_S = 0.2  # how soon a wait notices that the partition was closed
_FETCH_AGAIN_S = 1.0
_SAY_S = 60.0
# Kept per camera: where decoding can begin if Redis loses a tail that reaches back so far.
_KEYFRAMES = 16  # up to what is published
_MOST_KEYFRAMES = 1024  # in all, where nothing is published


class Partition:
    """Reads on as `resume` says: messages before its mark are decoded only where a later picture needs them.

    `refuse` has a message made a dead letter and returns when it is one; False where it was closed before that.
    """

    def __init__(
        self,
        identity: PartitionId,
        settings: TopicSettings,
        cameras: TopicCameras,
        resume: Resume,
        refuse: Callable[[RawMessage, MessageRefused, threading.Event], bool],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.identity = identity
        self.source = identity.source
        self.handoff = Handoff(settings.buffer_frames, OnFull.WAIT)
        self.ledger = OffsetLedger(resume.mark.offset)
        self.error: BaseException | None = None  # what ended the thread, if an error of ours did
        self._settings = settings
        self._cameras = cameras
        self._mark = resume.mark
        self._last = dict(resume.places)
        self._decode_from = resume.decode_from
        self._refuse = refuse
        self._wall = wall
        self._decode_s = 0.0  # the last message's, fetching included
        self._say_stumbled_from = 0.0
        self._decoders: dict[CameraId, MessageDecoder] = {}
        self._marks = {c: m for c, m in resume.mark.cameras.items() if c in self._last or c in cameras}
        self._keyframes = {c: deque(m.keyframes, _MOST_KEYFRAMES) for c, m in self._marks.items() if m.keyframes}
        self._queue: deque[RawMessage] = deque()
        self._queued_bytes = 0
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"topic-{identity.key}", daemon=True)

    # From the loop

    def start(self) -> None:
        """Begins decoding what `feed` brings."""
        self._thread.start()

    def feed(self, messages: Sequence[RawMessage]) -> None:
        """Messages in rising order of offset."""
        with self._changed:
            self._queue.extend(messages)
            self._queued_bytes += sum(map(_size, messages))
            self._changed.notify_all()

    @property
    def queued_bytes(self) -> int:
        """Of messages that wait to be decoded."""
        return self._queued_bytes

    def mark(self) -> PartitionMark:
        """From where another reader would go on."""
        return PartitionMark(self.ledger.low_water, self._mark.began, self.identity.generation, dict(self._marks))

    def published(self, camera_id: CameraId, position: Position) -> None:
        """All frames of the camera up to there are published, or lost for good; this one is published."""
        keyframes = tuple(self._needed_keyframes(camera_id, position.major))
        self._marks[camera_id] = CameraMark(position.major, position.minor, keyframes, self._wall())

    def _needed_keyframes(self, camera_id: CameraId, published: int) -> list[int]:
        """The last ones up to `published`, and all that decoding came to since; older ones are forgotten."""
        keyframes = self._keyframes.get(camera_id, deque())
        found = list(keyframes)  # the thread adds at its end meanwhile
        too_many = max(0, sum(k <= published for k in found) - _KEYFRAMES)
        for _ in range(too_many):
            keyframes.popleft()
        return found[too_many:]

    def end(self) -> None:
        """No more frames; its thread ends by itself."""
        self._closed.set()
        self.handoff.close()
        with self._changed:
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:
        """Ends it; waits at most so long for its thread."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # The thread

    def _run(self) -> None:
        bind_log_context(partition=self.identity.key)
        try:
            while (message := self._next()) is not None:
                self._work(message)
        except HandoffClosed:
            logger.debug("partition %s: its hand-over was closed", self.identity.key)
        except Exception as exc:  # the top of the thread: it must be heard
            logger.exception("partition %s: an error of ours ended its reading", self.identity.key)
            self.error = exc
        finally:
            for decoder in self._decoders.values():
                decoder.close()

    def _next(self) -> RawMessage | None:
        with self._changed:
            while not self._queue:
                if self._closed.is_set():
                    return None
                self._changed.wait(_LOOK_S)
            if self._closed.is_set():
                return None
            message = self._queue.popleft()
            self._queued_bytes -= _size(message)
            return message

    def _work(self, message: RawMessage) -> None:
        is_new = message.offset >= self._mark.offset
        if is_new:
            self.ledger.begin(message.offset)
        try:
            camera_id, pictures = self._pictures(message, is_new)
        except MessageRefused as refused:
            if is_new and self._refuse(message, refused, self._closed):
                self.ledger.done(message.offset)
            return
        fresh = [one for one in pictures if self._is_fresh(camera_id, message.offset, one.sub)] if is_new else []
        if is_new:
            self.ledger.expect(message.offset, len(fresh))
        for one in fresh:
            self.handoff.put(self._frame(camera_id, message.offset, one))

    def _pictures(self, message: RawMessage, is_new: bool) -> tuple[CameraId, list[Decoded]]:
        """Its camera and its pictures. Raises MessageRefused."""
        camera_id = CameraId(camera_of(message, self._settings.messages))
        if camera_id not in self._cameras:
            raise MessageRefused(Refusal.UNKNOWN_CAMERA, f"the configuration names no camera {camera_id!r} here")
        if is_new:
            self._require_alone(camera_id)
            while not self._cameras.wait_while_paused(camera_id, _LOOK_S):
                if self._closed.is_set():
                    raise HandoffClosed("closed while its camera was paused")
        try:
            return camera_id, self._soundly_decoded(camera_id, message, is_new)
        except MessageRefused as refused:
            if is_new:
                self._cameras.refused(camera_id, refused.code, str(refused))
            raise

    def _require_alone(self, camera_id: CameraId) -> None:
        other = self._cameras.seen_elsewhere(camera_id, self.identity.partition)
        if other is None:
            return
        here = self.identity.partition
        why = (
            f"camera {camera_id} is in partitions {other} and {here} of {self.identity.topic}: "
            "its order is lost; give its messages one key"
        )
        self._cameras.misplaced(camera_id, why)
        raise MessageRefused(Refusal.IN_TWO_PARTITIONS, why)

    def _soundly_decoded(self, camera_id: CameraId, message: RawMessage, is_new: bool) -> list[Decoded]:
        """Whatever a decoder stumbles over is that message's fault, and must not end the others."""
        try:
            return self._decoded(camera_id, message, is_new)
        except (MessageRefused, HandoffClosed, MemoryError):
            raise
        except Exception as exc:
            self._say_stumbled(message, mask(traceback.format_exc()))
            self._decoders[camera_id].reset()
            raise MessageRefused(Refusal.NOT_DECODABLE, f"decoding it failed with {type(exc).__name__}") from None

    def _say_stumbled(self, message: RawMessage, text: str) -> None:
        """Once a minute: the dead letters are counted, and a flood must not fill the log."""
        if time.monotonic() < self._say_stumbled_from:
            return
        self._say_stumbled_from = time.monotonic() + _SAY_S
        where = f"{self.identity.key} offset {message.offset}"
        logger.error("partition %s: an error of ours in decoding\n%s", where, text)

    def _decoded(self, camera_id: CameraId, message: RawMessage, is_new: bool) -> list[Decoded]:
        decoder = self._decoders.get(camera_id)
        if decoder is None:
            decoder = self._decoders[camera_id] = MessageDecoder(self._settings.messages)
        place = self._last.get(camera_id)
        done = not is_new or (place is not None and message.offset < place.major)
        if done and message.offset < self._decode_from.get(camera_id, message.offset + 1):
            return []  # each message stands alone, and this one's pictures are published
        started = time.perf_counter()
        pictures = self._fetched(decoder, message)
        self._decode_s = time.perf_counter() - started
        if decoder.holds_state and decoder.began:
            self._keyframes.setdefault(camera_id, deque(maxlen=_MOST_KEYFRAMES)).append(message.offset)
        return pictures

    def _fetched(self, decoder: MessageDecoder, message: RawMessage) -> list[Decoded]:
        """Decoded; what could not be fetched is tried again, a little later each time."""
        for attempt in range(1, self._settings.fetch_tries):
            try:
                return decoder.decode(message)
            except MessageRefused as refused:
                if not refused.retryable:
                    raise
                logger.info("partition %s: offset %d: %s", self.identity.key, message.offset, refused)
            if self._closed.wait(_FETCH_AGAIN_S * attempt):
                raise HandoffClosed("closed while a picture was fetched")
        return decoder.decode(message)

    def _is_fresh(self, camera_id: CameraId, offset: int, sub: int) -> bool:
        last = self._last.get(camera_id)
        return last is None or self.identity.position(offset, sub) > last

    def _frame(self, camera_id: CameraId, offset: int, one: Decoded) -> Frame:
        position = self.identity.position(offset, one.sub)
        follows, self._last[camera_id] = self._last.get(camera_id), position
        seq, refused = self._cameras.number(camera_id, one.picture)
        return Frame(
            camera_id, seq, one.captured_at, Clock.MESSAGE, position, one.picture, self._wall(), refused, follows,
            self._decode_s,
        )  # fmt: skip


def _size(message: RawMessage) -> int:
    return len(message.value or b"") + len(message.key or b"") + 100
