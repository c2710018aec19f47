"""Pickles of unknown origin: arrays and plain containers, and nothing that is executed.

A pickle is a program. It is read twice: first the opcodes alone (pickletools), which refuses names
outside a short list, sizes beyond the file and the opcodes that call things in other ways; then by
an Unpickler for which even the allowed names are our own replacements, so that no code of numpy or
torch sees the numbers before they are checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable

from posenet.errors import PoseNetError, first_line

_REFUSED = {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX", "NEXT_BUFFER", "READONLY_BUFFER"}
_SETS = {"EMPTY_SET", "ADDITEMS", "FROZENSET"}
_MEMO = {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"}


class UnsafePickleError(Exception):
    """Why a pickle is refused."""


def load_pickle(
    data: bytes,
    names: dict[tuple[str, str], object],
    what: str,
    persistent: Callable | None = None,
    encoding: str = "latin1",
    stop: bool = True,
):
    """Load the object of a pickle.

    Args:
        data: the pickle.
        names: replacements for the (module, name) that it may mention.
        what: the file, for messages.
        persistent: resolves persistent ids; refused without it.
        encoding: encoding of texts of Python 2.
        stop: refuse bytes after the end of the pickle.

    Returns:
        The object; without `stop` the object and the number of bytes used.

    Raises:
        PoseNetError: the pickle is unsafe or damaged.
    """
    try:
        used = _scan(data, set(names), persistent is not None)
        if stop and used != len(data):
            raise UnsafePickleError(f"{len(data) - used} bytes follow its end")
        found = _Reader(data[:used], names, persistent, encoding).load()
    except UnsafePickleError as error:
        raise PoseNetError(f"{what} is refused: {error}") from None
    except Exception as error:
        raise PoseNetError(
            f"{what} must be a pickle of arrays, it cannot be read ({first_line(error)})"
        ) from None
    return found if stop else (found, used)


def _scan(data: bytes, allowed: set[tuple[str, str]], persistent: bool) -> int:
    """Check every opcode without executing any, and return the length of the pickle."""
    count = 0
    keys = _Keys()
    try:
        for opcode, argument, position in pickletools.genops(data):
            count += 1
            name = opcode.name
            if name in _REFUSED or (name in ("PERSID", "BINPERSID") and not persistent):
                raise UnsafePickleError(f"it uses {name}, which could run code")
            if name in _SETS:
                raise UnsafePickleError(f"it uses {name}, only lists, tuples and dicts are read")
            keys.follow(opcode, argument)
            if name == "GLOBAL" and tuple(str(argument).split(" ", 1)) not in allowed:
                wanted = str(argument).replace(" ", ".")
                raise UnsafePickleError(
                    f"it names {wanted}, only arrays and plain containers are read"
                )
            if name in _MEMO and isinstance(argument, int) and argument > count:
                raise UnsafePickleError("its memo is larger than itself")
            if name == "STOP":
                return (position or 0) + 1
    except ValueError as error:
        raise UnsafePickleError(f"it is no whole pickle ({first_line(error)})") from None
    raise UnsafePickleError("it has no end")


class _Keys:
    """Tracks which entries of the unpickler's stack are non-empty tuples, and refuses them as keys.

    Hashing a tuple of tuples visits all of them: twenty bytes per level make it endless, a million
    levels overflow C's stack. Nothing else that is hashed contains other things: our replacements
    are hashed by identity.
    """

    def __init__(self) -> None:
        self.stack: list[bool | None] = []  # None is a mark
        self.memo: dict[int, bool] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Apply the effect of an opcode to the stack. Raises UnsafePickleError."""
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            number = len(self.memo) if name == "MEMOIZE" else argument
            if isinstance(number, int) and self.stack:
                self.memo[number] = bool(self.stack[-1])
            return
        taken = self._take(opcode)
        if name == "MARK":
            self.stack.append(None)
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(isinstance(argument, int) and self.memo.get(argument, False))
        elif name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"):
            self.stack.append(bool(taken))
        elif name in ("BUILD", "DUP"):  # BUILD with None changes nothing
            self.stack += [bool(taken and taken[0])] * len(opcode.stack_after)
        else:
            self.stack += [False] * len(opcode.stack_after)
        pairs = {"DICT": taken, "SETITEM": taken[1:], "SETITEMS": taken}.get(name, [])
        if any(pairs[::2]):
            raise UnsafePickleError("it has a dict with a tuple for a key")

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[bool | None]:
        """Remove and return what an opcode uses, down to its mark if it has one."""
        needed = opcode.stack_before
        if pickletools.markobject in needed:
            taken: list[bool | None] = []
            while self.stack and (top := self.stack.pop()) is not None:
                taken.append(top)
            self._drop(needed.index(pickletools.markobject))
            return taken[::-1]
        return self._drop(len(needed))

    def _drop(self, count: int) -> list[bool | None]:
        taken = (
            self.stack[len(self.stack) - count :] if count <= len(self.stack) else list(self.stack)
        )
        del self.stack[len(self.stack) - len(taken) :]
        return taken


class _Sealed:
    """A function that a pickle may call but not change: the opcode BUILD would set its defaults."""

    def __init__(self, function: Callable):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)

    def __setstate__(self, state):
        raise UnsafePickleError("it changes what it names")


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes, names: dict, persistent: Callable | None, encoding: str):
        super().__init__(io.BytesIO(data), fix_imports=False, encoding=encoding)
        self.names, self.persistent = names, persistent

    def find_class(self, module: str, name: str):
        try:
            found = self.names[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"it names {module}.{name}, only arrays and plain containers are read"
            ) from None
        return _Sealed(found) if callable(found) and not isinstance(found, type) else found

    def persistent_load(self, key):
        if self.persistent is None:
            raise UnsafePickleError("it uses persistent ids")
        return self.persistent(key)
