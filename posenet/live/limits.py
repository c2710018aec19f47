"""What a server accepts: sizes, numbers and times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a server, so that no client exhausts its memory, disk or connections.

    Attributes:
        max_bytes: largest body of a request.
        max_pixels: largest image. It is checked in the header, before the image is decoded.
        max_waiting: number of requests that are received, wait or are localized at the same time.
        max_waiting_bytes: their bodies in all. They are kept on disk.
        max_tracks: number of image sequences that are tracked; the one used least recently ends.
        max_connections: number of open connections.
        header_seconds: time in which a client must send the headers of a request. An idle
            connection ends after it too.
        pause_seconds: longest pause of a client that sends a body.
        upload_seconds: longest time in which a body must arrive, and longest pause of a client
            that reads a response.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    max_waiting: int = 128
    max_waiting_bytes: int = 1_000_000_000
    max_tracks: int = 8
    max_connections: int = 512
    header_seconds: float = 10.0
    pause_seconds: float = 10.0
    upload_seconds: float = 60.0


# Seconds after which a client may try again when too many requests wait.
RETRY_SECONDS = 2
# Longest name of an image and of a track, in characters.
MAX_NAME = 200
MAX_TRACK_NAME = 300
