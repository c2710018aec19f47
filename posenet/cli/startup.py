"""Start a command, and Keras quietly."""

from __future__ import annotations

import codecs
import io
import logging
import os
import sys
import warnings

from posenet.cli.terminal import EscapingFormatter
from posenet.environment import hidden_stderr, import_keras

# Level of FFmpeg's log without any message.
AV_LOG_QUIET = "-8"
# Number of messages that are remembered, so that a server's memory stays flat.
MAX_REMEMBERED = 1000


def start_process() -> None:
    """Set up messages, output and warnings, whatever the user's environment asks of Python."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Without a home folder, matplotlib logs where it caches its fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Embedding a font in a PDF logs each of its tables.
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    # JAX logs which accelerators are not there.
    logging.getLogger("jax").setLevel(logging.WARNING)
    # OpenCV logs each damaged part of images and videos, thousands for one video.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", AV_LOG_QUIET)
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("file_name", _encode_file_name)
        sys.stdout.reconfigure(errors="file_name")
    # A warning of another library is not an error of a command (PYTHONWARNINGS=error).
    if any(option.startswith("e") for option in sys.warnoptions):
        warnings.resetwarnings()
        warnings.simplefilter("ignore")


def _encode_file_name(error: UnicodeError) -> tuple[bytes, int]:
    """Encode what the output's encoding lacks: in UTF-8, or as the bytes of a name that is not."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return text.encode("utf-8", "surrogateescape"), error.end


def start_keras(
    backend: str = "auto", needed_by: str | None = None, *, join_hosts: bool = False
) -> None:
    """Import Keras and run one operation without a dozen start-up messages on stderr.

    Errors still arrive as exceptions.

    Args:
        backend: "tensorflow", "jax" or "torch"; "auto" for that of KERAS_BACKEND, or the first that
            is installed.
        needed_by: what requires this backend, the start of the message if it is not installed.
        join_hosts: connect the processes of a job, see docs/cluster.md.

    Raises:
        PoseNetError: the backend is unknown or not installed, or there is no job.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with hidden_stderr():
        import_keras(backend, needed_by)
        import keras

        from posenet.training import device, devices

        device.configure_backend()
        if join_hosts:
            devices.join_hosts()
        keras.ops.convert_to_numpy(keras.ops.zeros(()) + 1.0)


class OncePerMessage(logging.Filter):
    """Pass a message once, not for each image."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged.

        Args:
            record: the record.

        Returns:
            False if its text was logged before.
        """
        message = record.getMessage()
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        is_new = message not in self._seen
        self._seen.add(message)
        return is_new
