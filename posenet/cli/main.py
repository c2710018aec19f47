"""The entry point of all commands. Only modules of this package print results."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import tyro

from posenet.cli.city import CityConfig
from posenet.cli.commands import COMMANDS, AnyCommand, SceneCommand, WeightsCommand
from posenet.cli.options import ReconstructConfig
from posenet.cli.startup import start_process
from posenet.cli.terminal import escape, escaped_stdout
from posenet.config import TrainConfig
from posenet.errors import PoseNetError

# Exit codes; wrong use of a command is 2.
DONE = 0
FAILED = 1
INTERRUPTED = 130


def main(
    arguments: Sequence[str] | None = None, command: Any = AnyCommand, program: str = "posenet"
) -> int:
    """Run one command.

    Args:
        arguments: the arguments. Default: those of the process.
        command: the type of the options, or a union of several.
        program: name of the program in the help.

    Returns:
        The exit code: 0 done, 1 failed, 130 interrupted.

    Raises:
        SystemExit: with code 2 for wrong use, with code 0 after the help.
    """
    start_process()
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        from posenet import __version__

        print(f"{program} {__version__}")
        return DONE
    with suppress(ValueError):  # not in the main thread
        # Ending a process is as safe as Ctrl-C: unfinished files are removed.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = None
    try:
        config = tyro.cli(
            command, prog=program, args=arguments, config=(tyro.conf.OmitArgPrefixes,)
        )
        if isinstance(config, SceneCommand | WeightsCommand):
            config = config.command
        with escaped_stdout():
            COMMANDS[type(config)](config)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of stdout has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except PoseNetError as error:
        print(f"error: {escape(str(error))}", file=sys.stderr)
        return FAILED
    except OSError as error:
        if error.filename is None:  # not about a file of the user
            raise
        print(f"error: {escape(f'{error.filename}: {error.strerror}')}", file=sys.stderr)
        return FAILED
    except UnicodeEncodeError as error:  # in a locale without UTF-8
        print(
            f"error: {error.object!a} must be a file name in the locale's encoding, "
            f"{error.encoding}: set PYTHONUTF8=1",
            file=sys.stderr,
        )
        return FAILED
    except KeyboardInterrupt:
        print(f"interrupted{_resume_hint(config)}", file=sys.stderr)
        return INTERRUPTED
    return DONE


def _resume_hint(config: Any) -> str:
    """Return how an interrupted command can be resumed."""
    if getattr(config, "refine", False) is not False:
        return "; an unfinished landmark map is resumed by the same command"
    if isinstance(config, TrainConfig):
        return "; resume from the last finished epoch with --resume"
    if isinstance(config, ReconstructConfig | CityConfig):
        return "; the same command resumes"
    return ""
