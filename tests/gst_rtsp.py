"""Debian's gst-rtsp-server as a foreign RTSP server: `GstRtspServer` starts this very file with /usr/bin/python3.

Packages: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad,ugly}.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

_PYTHON = "/usr/bin/python3"
_START_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} threads=1 bitrate=1000"
    " ! rtph264pay name=pay0 pt=96 config-interval=-1",
    "hevc": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate=1000"
    " ! rtph265pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


class GstRtspServer:
    """A gst-rtsp-server process with one live test picture under `path`, and faults on demand. A context manager."""

    def __init__(
        self,
        path: str = "cam",
        codec: str = "h264",
        width: int = 640,
        height: int = 360,
        fps: int = 15,
        user: str | None = None,
        password: str | None = None,
        auth: str = "digest",
    ) -> None:
        self._path, self._user, self._password = path, user, password
        source = f"videotestsrc is-live=true pattern=ball ! capsfilter name=size caps={_caps(width, height, fps)}"
        login = None if user is None else {"user": user, "password": password, "auth": auth}
        launch = f"( {source} ! videoconvert ! {_ENCODERS[codec].format(gop=max(1, fps // 3))} )"
        self._plan = {"path": path, "launch": launch, "fps": fps, "login": login}
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        command = [_PYTHON, str(Path(__file__).resolve()), json.dumps(self._plan)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        try:
            self.port = int(self._answer("ready", _START_TIMEOUT_S))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.kill()
        process.wait(_STOP_TIMEOUT_S)
        process.stdin.close()
        process.stdout.close()

    def url(self, with_credentials: bool = True) -> str:
        """Where the picture is."""
        login = ""
        if with_credentials and self._user is not None:
            login = f"{quote(self._user, safe='')}:{quote(self._password or '', safe='')}@"
        return f"rtsp://{login}127.0.0.1:{self.port}/{self._path}"

    def freeze(self) -> None:
        """Stop the picture; connections stay."""
        self._tell("freeze")

    def thaw(self) -> None:
        """Let it run on."""
        self._tell("thaw")

    def kick(self) -> None:
        """Close every client's connection."""
        self._tell("kick")

    def change_size(self, width: int, height: int) -> None:
        """Another picture size, for clients that are there too."""
        self._tell(f"size {width} {height}")

    def kill(self) -> None:
        """End the process at once."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_STOP_TIMEOUT_S)

    def _tell(self, command: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._answer("done", _ANSWER_TIMEOUT_S)

    def _answer(self, word: str, timeout_s: float) -> str:
        """What follows `word` in the next line. Raises RuntimeError if it is another line, or none in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        line = self._process.stdout.readline().strip() if ready else "nothing in time"
        if not line.startswith(word):
            raise RuntimeError(f"gst-rtsp-server answered {line!r} instead of {word!r}")
        return line.removeprefix(word).strip()


def gst_play(pipeline: str, timeout_s: float = 60.0) -> None:
    """Run a GStreamer pipeline to its end, in a process of its own. Raises RuntimeError with what went wrong."""
    command = [_PYTHON, str(Path(__file__).resolve()), json.dumps({"play": pipeline})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)


def _caps(width: int, height: int, fps: int) -> str:
    return f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"


def serve(plan: dict[str, Any]) -> None:
    """Run the server, in the process of its own, until standard input ends."""
    import gi  # Debian's, which only /usr/bin/python3 has

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(plan["launch"])
    factory.set_shared(True)
    elements: list[Any] = []

    def remember(_factory: Any, media: Any) -> None:
        elements[:] = [media.get_element()]

    factory.connect("media-configure", remember)
    if plan["login"]:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        user, password = plan["login"]["user"], plan["login"]["password"]
        if plan["login"]["auth"] == "basic":
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        for what in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role("user", what, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/" + plan["path"], factory)
    server.attach(None)

    def set_state(state: Any) -> None:
        for element in elements:
            element.set_state(state)

    def set_size(width: str, height: str) -> None:
        for element in elements:
            caps = Gst.Caps.from_string(_caps(int(width), int(height), plan["fps"]))
            element.get_by_name("size").set_property("caps", caps)

    commands: dict[str, Callable[..., Any]] = {
        "freeze": lambda: set_state(Gst.State.PAUSED),
        "thaw": lambda: set_state(Gst.State.PLAYING),
        "kick": lambda: server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE),
        "size": set_size,
    }
    loop = GLib.MainLoop()

    def obey(word: str, arguments: list[str]) -> bool:
        commands[word](*arguments)
        print("done", flush=True)  # noqa: T201 - the answer the other process waits for
        return False

    def listen() -> None:
        for line in sys.stdin:
            word, *arguments = line.split()
            GLib.idle_add(obey, word, arguments)
        GLib.idle_add(loop.quit)

    threading.Thread(target=listen, daemon=True).start()
    print("ready", server.get_bound_port(), flush=True)  # noqa: T201 - likewise
    loop.run()


def play(launch: str) -> None:
    """Run a pipeline until it ends, in this process; exits with the error's text if it fails."""
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst

    Gst.init(None)
    pipeline = Gst.parse_launch(launch)
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(15 * Gst.SECOND, Gst.MessageType.ERROR | Gst.MessageType.EOS)
    pipeline.set_state(Gst.State.NULL)
    if message is None or message.type is Gst.MessageType.ERROR:
        sys.exit("no end in time" if message is None else str(message.parse_error()))


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    if "play" in told:
        play(told["play"])
    else:
        serve(told)
