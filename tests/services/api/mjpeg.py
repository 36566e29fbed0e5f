"""A client of multipart/x-mixed-replace that keeps to the lengths it is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx

JPEG = (b"\xff\xd8", b"\xff\xd9")


def is_jpeg(data: bytes) -> bool:
    """A whole one, by its first and last bytes."""
    return data.startswith(JPEG[0]) and data.endswith(JPEG[1])


async def parts(answer: httpx.Response) -> AsyncIterator[tuple[dict[str, str], bytes]]:
    """Its parts, by their Content-Length."""
    data = b""
    async for chunk in answer.aiter_raw():
        data += chunk
        while found := re.match(rb"(?:\r\n)?--rayline-picture\r\n(.*?)\r\n\r\n", data, re.DOTALL):
            headers = dict(line.split(": ", 1) for line in found[1].decode().split("\r\n"))
            end = found.end() + int(headers["Content-Length"])
            if len(data) < end:
                break
            yield headers, data[found.end() : end]
            data = data[end:]
