"""A pickle interpreter that executes nothing: a closed list of inert constructors, or refusal.

A pickle is a program. Python's own machine imports and calls whatever the program names; this
one walks the same opcodes but can only build plain values (numbers, strings, bytes, lists,
tuples, dicts, sets) and call the `Constructor` objects it was given. Every other name, and every
opcode that could reach further, is refused with the name in the message.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from vos_jax.core.errors import CheckpointError

MAX_OPCODES = 20_000_000
MAX_NAME_SHOWN = 120

SCALARS = (str, bytes, int, float, type(None))
PUSHED = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT "
    "BINFLOAT".split()
)
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
DAMAGE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)


class Stateful:
    """An object of ours whose state may be set once more by the opcode BUILD."""

    def set_state(self, state: Any) -> None:
        """Takes the state that BUILD carries; raises ValueError if it is not of the known form."""
        raise ValueError(f"{type(self).__name__} takes no state")


@dataclass(frozen=True)
class Constructor:
    """A name a pickle may mention, and what calling it gives.

    Attributes:
        name: `module.attribute`, as the pickle spells it.
        build: takes the pickle's arguments; None if the name may stand but not be called.
    """

    name: str
    build: Callable[..., Any] | None = None


class Unpickler:
    """Interprets one pickle after another from a stream.

    Args:
        stream: has `read`, `readline` and `tell`, and clamps reads to what it holds (BytesIO or
            mmap), so that a claimed length cannot ask for memory.
        allowed: `module.attribute` to what stands for it. Nothing else is reachable.
        persistent: turns a persistent id into an object; None refuses such ids.
    """

    def __init__(
        self,
        stream: BinaryIO,
        allowed: Mapping[str, Constructor],
        persistent: Callable[[Any], Any] | None = None,
    ):
        self._stream = stream
        self._allowed = allowed
        self._persistent = persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """Interprets the next pickle of the stream.

        Returns:
            The value the pickle describes.

        Raises:
            CheckpointError: a name outside the list, an opcode that is not needed by any
                honest file, or damage. The message says which.
        """
        self._stack, self._marks, self._memo = [], [], {}
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(self._stream)):
                if count > MAX_OPCODES:
                    raise CheckpointError(f"its pickle has more than {MAX_OPCODES} opcodes")
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._execute(opcode.name, argument)
        except DAMAGE as error:
            raise CheckpointError(f"its pickle is damaged ({type(error).__name__})") from error
        raise CheckpointError("its pickle is cut short")

    def _execute(self, name: str, argument: Any) -> None:
        if name in PUSHED:
            self._stack.append(argument)
        elif name in CONSTANTS:
            self._stack.append(CONSTANTS[name]())
        else:
            handler = getattr(self, f"_op_{name.lower()}", None)
            if handler is None:
                raise CheckpointError(f"refused: its pickle uses the opcode {name}")
            handler(argument)

    def _op_proto(self, version: int) -> None:
        if version > 5:
            raise CheckpointError(f"its pickle has the unknown protocol {version}")

    def _op_frame(self, _: int) -> None:
        """Frames only group bytes."""

    def _op_mark(self, _: None) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _op_pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _op_pop_mark(self, _: None) -> None:
        self._pop_mark()

    def _op_dup(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _op_put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _op_binput = _op_long_binput = _op_put

    def _op_memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _op_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _op_binget = _op_long_binget = _op_get

    def _op_tuple(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def _op_tuple1(self, _: None) -> None:
        self._stack[-1:] = [tuple(self._stack[-1:])]

    def _op_tuple2(self, _: None) -> None:
        self._take_tuple(2)

    def _op_tuple3(self, _: None) -> None:
        self._take_tuple(3)

    def _take_tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError("stack underflow")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _op_list(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def _op_append(self, _: None) -> None:
        item = self._stack.pop()
        self._top(list).append(item)

    def _op_appends(self, _: None) -> None:
        items = self._pop_mark()
        self._top(list).extend(items)

    def _op_dict(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(_pairs_to_dict(items))

    def _op_setitem(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._top(dict)[_key(key)] = value

    def _op_setitems(self, _: None) -> None:
        items = self._pop_mark()
        self._top(dict).update(_pairs_to_dict(items))

    def _op_additems(self, _: None) -> None:
        items = self._pop_mark()
        self._top(set).update(_key(item) for item in items)

    def _op_frozenset(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(frozenset(_key(item) for item in items))

    def _op_global(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self._push_global(module, attribute)

    def _op_inst(self, argument: str) -> None:
        self._op_global(argument)
        raise CheckpointError(f"refused: its pickle makes an object of {argument[:80]!r}")

    def _op_stack_global(self, _: None) -> None:
        attribute, module = self._stack.pop(), self._stack.pop()
        if not (isinstance(module, str) and isinstance(attribute, str)):
            raise CheckpointError("refused: its pickle names a global by something not a string")
        self._push_global(module, attribute)

    def _push_global(self, module: str, attribute: str) -> None:
        name = f"{module}.{attribute}"
        if name not in self._allowed:
            raise CheckpointError(f"refused: its pickle asks for {name[:MAX_NAME_SHOWN]!r}")
        self._stack.append(self._allowed[name])

    def _op_reduce(self, _: None) -> None:
        arguments, constructor = self._stack.pop(), self._stack.pop()
        if not isinstance(constructor, Constructor) or constructor.build is None:
            what = constructor.name if isinstance(constructor, Constructor) else "a plain value"
            raise CheckpointError(f"refused: its pickle calls {what}")
        if not isinstance(arguments, tuple):
            raise CheckpointError(f"refused: arguments of {constructor.name} are not a tuple")
        try:
            self._stack.append(constructor.build(*arguments))
        except DAMAGE as error:
            reason = f"{type(error).__name__}: {str(error)[:MAX_NAME_SHOWN]}"
            raise CheckpointError(f"wrong arguments of {constructor.name} ({reason})") from error

    def _op_build(self, _: None) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Stateful):
            target.set_state(state)
        elif not (isinstance(target, dict) and isinstance(state, dict)):
            raise CheckpointError(
                f"refused: its pickle sets the state of a {type(target).__name__}"
            )

    def _op_binpersid(self, _: None) -> None:
        if self._persistent is None:
            raise CheckpointError("refused: its pickle has a persistent id where none belongs")
        self._stack.append(self._persistent(self._stack.pop()))

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise CheckpointError(
                f"damaged: its pickle fills something that is not a {kind.__name__}"
            )
        return self._stack[-1]


def _key(value: Any) -> Any:
    """Lets plain scalars and flat tuples of them be keys: hashing deep tuples can take for ever."""
    flat = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, SCALARS) for item in flat):
        raise CheckpointError(f"refused: its pickle uses a {type(value).__name__} as a key")
    return value


def _pairs_to_dict(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("odd number of dictionary items")
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
