"""Run an action in a child process whose n-th change of a file system fails or kills it."""

import builtins
import errno
import io
import os
import signal
import sys
import traceback
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.temporary_names import remove_abandoned

# How a child ends.
DONE = 0
REFUSED = 3
CRASHED = 4
KILL = "kill"
ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EACCES", "EMFILE")}
# Seconds after which a child is ended.
TIMEOUT = 120
WRITING = ("w", "a", "x", "+")


class _Faults:
    """Counts changes of files below a folder, and fails at one of them."""

    def __init__(self, folder: Path, at: int, kind: str) -> None:
        self.folder = os.path.realpath(folder)
        self.at = at
        self.kind = kind
        self.count = 0

    def install(self) -> None:
        """Wrap the functions that change files."""
        for name in ("replace", "rename", "link", "mkdir", "unlink", "rmdir", "truncate"):
            setattr(os, name, self._wrap(getattr(os, name)))
        opened = builtins.open

        def open_file(file, mode="r", *rest, **options):
            if any(letter in mode for letter in WRITING) and isinstance(file, str | os.PathLike):
                self._step(file)
            return opened(file, mode, *rest, **options)

        builtins.open = open_file
        io.open = open_file  # pathlib's

    def _wrap(self, function):
        def call(path, *rest, **options):
            self._step(path)
            return function(path, *rest, **options)

        return call

    def _step(self, path) -> None:
        if not os.path.realpath(path).startswith(self.folder):
            return
        self.count += 1
        if self.count != self.at:
            return
        if self.kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        code = ERRORS[self.kind]
        raise OSError(code, os.strerror(code), os.fspath(path))


def run_with_fault(action, folder: Path, at: int = 0, kind: str = KILL) -> tuple[int, int]:
    """Call a function in a forked process.

    Args:
        action: the function; it must not have used threads before.
        folder: changes of files below it are counted.
        at: number of the change that fails, from 1; 0 for none.
        kind: KILL or one of ERRORS.

    Returns:
        How the process ended: DONE, REFUSED with a PoseNetError, CRASHED with another error, or
        minus the signal; and the number of changes if it was not killed.
    """
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        signal.alarm(TIMEOUT)  # a lock that a thread of the parent held stays locked
        faults = _Faults(folder, at, kind)
        code = CRASHED
        try:
            remove_abandoned.cache_clear()  # as in a new process
            faults.install()
            action()
            code = DONE
        except PoseNetError:
            code = REFUSED
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os.write(sending, str(faults.count).encode())
        os._exit(code)
    os.close(sending)
    with os.fdopen(receiving) as pipe:
        count = pipe.read()
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), int(count or 0)
