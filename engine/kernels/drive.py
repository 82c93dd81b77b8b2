"""The one driver of every step: run it over bars ``start`` to ``stop``.

History is one call over all bars, a tile is a call over some, live is a call over one bar: always the same machine
code, so batch, tiles, a resumed checkpoint and live cannot differ in a bit.  The step is inlined and its state
stays in registers; inputs and outputs are (address, stride in values) pairs, stride 0 for a constant or a live slot.
"""

# mypy: disable-error-code="call-arg, unreachable, var-annotated"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core.typing.typeof import typeof_impl
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.experimental.function_type import _get_wrapper_address
from numba.extending import NativeValue, models, overload, register_model, unbox

from engine.jit import compiled, inlined
from engine.kernels.memory import assume, load_flag, load_float, load_word, stack_floats, store_float
from engine.kernels.step import Step

LARGEST = np.finfo(np.float64).max
BLOCK = 512  # bars that are looked through for unknown values at once: a column of them is 4 kB
INLINE: Any = {"forceinline": True}
ROOMS = 4  # columns of a block that a step's block form may use for itself
BRIEF = 8  # fewer bars than this are not worth looking through


_STEPS: dict[str, Step] = {}


class StepType(types.Type):
    """A numba type with one value: the step.

    Its name holds the digest, so the disk cache never answers for another step, and its name is all that is stored
    there: reading the cache must not import the modules of other people's steps.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)

    def __reduce__(self) -> tuple[Any, ...]:
        return StepType, (self.name,)

    @property
    def step(self) -> Step:
        return _STEPS[self.name]


def step_type(step: Step) -> StepType:
    """Return the type of this step."""
    name = f"Step[{step.name}:{step.digest}]"
    _STEPS[name] = step
    return StepType(name)


@typeof_impl.register(Step)
def _typeof(value: Step, context: Any) -> StepType:
    return step_type(value)


@register_model(StepType)
class _StepModel(models.OpaqueModel):
    pass


@unbox(StepType)
def _unbox(kind: Any, value: Any, context: Any) -> Any:
    return NativeValue(context.context.get_dummy_value())


def fresh_inputs(step): ...
def fresh_ports(step): ...
def fresh_outputs(step): ...
def read_state(step, address): ...
def write_state(step, address, state): ...
def read_params(step, address): ...
def apply(step, state, ring, anchor, inputs, params): ...
def sees_unknown(step): ...
def sees_anchor(step): ...
def room_for_constants(step): ...
def known_inputs(step, heads, count): ...
def settled(step, state, params): ...
def remembers(step): ...
def in_blocks(step): ...
def run_block(step, state, ring, count, heads, ends, room, params): ...


@overload(fresh_inputs, jit_options=INLINE)
def _fresh_inputs(step):
    value = (0.0,) * len(step.step.inputs)
    return lambda step: value


@overload(fresh_ports, jit_options=INLINE)
def _fresh_ports(step):
    value = (np.uintp(0),) * len(step.step.inputs), (np.uintp(0),) * len(step.step.outputs)
    return lambda step: value


@overload(fresh_outputs, jit_options=INLINE)
def _fresh_outputs(step):
    value = (0.0,) * len(step.step.outputs)
    return lambda step: value


@overload(sees_unknown, jit_options=INLINE)
def _sees_unknown(step):
    value = step.step.sees_unknown
    return lambda step: value


@overload(sees_anchor, jit_options=INLINE)
def _sees_anchor(step):
    value = step.step.has_anchor
    return lambda step: value


@overload(remembers, jit_options=INLINE)
def _remembers(step):
    value = bool(step.step.state)
    return lambda step: value


@overload(in_blocks, jit_options=INLINE)
def _in_blocks(step):
    value = step.step.block is not None
    return lambda step: value


@overload(run_block, jit_options=INLINE)
def _run_block(step, state, ring, count, heads, ends, room, params):
    block = step.step.block
    if block is None:
        return lambda step, state, ring, count, heads, ends, room, params: (state, 0)
    if step.step.has_ring:
        call = lambda state, ring, count, heads, ends, room, params: block(  # noqa: E731
            state, ring, count, *(heads + ends + (room,) + params)
        )
    else:
        call = lambda state, ring, count, heads, ends, room, params: block(  # noqa: E731
            state, count, *(heads + ends + (room,) + params)
        )
    call = inlined(call)
    return lambda step, state, ring, count, heads, ends, room, params: call(
        state, ring, count, heads, ends, room, params
    )


@overload(settled, jit_options=INLINE)
def _settled(step, state, params):
    function = step.step.settled
    if function is None:
        return lambda step, state, params: True
    call = inlined(lambda state, params: function(state, *params))
    return lambda step, state, params: call(state, params)


@overload(room_for_constants, jit_options=INLINE)
def _room_for_constants(step):
    room = stack_floats(BLOCK * (len(step.step.inputs) + ROOMS))
    return lambda step: room()


@overload(known_inputs, jit_options=INLINE)
def _known_inputs(step, heads, count):
    together = inlined(lambda heads, j: 0.0)
    for k in range(len(step.step.inputs)):
        together = _one_more_added(together, k)

    def known(step, heads, count):
        unknown = 0
        for j in range(count):
            value = together(heads, j)  # unknown if one of them is (or if infinities meet: then a bar at a time)
            unknown += value != value
        return unknown == 0

    return known


def _one_more_added(before, k):
    if k == 0:
        return inlined(lambda heads, j: load_float(heads[0], j))
    return inlined(lambda heads, j: before(heads, j) + load_float(heads[k], j))


@inlined
def whole_number(value):
    return np.int64(value)


@inlined
def real_number(value):
    return value


def _reader(kinds):
    """Return a compiled function from an address to a tuple of floats or whole numbers: numba has no such loop."""
    read = inlined(lambda address: ())
    for k, kind in enumerate(kinds):
        read = _one_more(read, k, kind)
    return read


def _one_more(before, k, kind):
    return inlined(lambda address: before(address) + (kind(load_float(address, k)),))  # noqa: RUF005  (numba)


@overload(read_params, jit_options=INLINE)
def _read_params(step, address):
    read = _reader([whole_number if whole else real_number for whole in step.step.whole])
    return lambda step, address: read(address)


@overload(read_state, jit_options=INLINE)
def _read_state(step, address):
    read = _reader([whole_number if count else real_number for count in step.step.counts])
    return lambda step, address: read(address)


@overload(write_state, jit_options=INLINE)
def _write_state(step, address, state):
    write = inlined(lambda address, state: None)
    for k in range(len(step.step.state)):
        write = _one_more_written(write, k)
    return lambda step, address, state: write(address, state)


def _one_more_written(before, k):
    @inlined
    def write(address, state):
        before(address, state)
        store_float(address, k, float(state[k]))

    return write


@overload(apply, jit_options=INLINE)
def _apply(step, state, ring, anchor, inputs, params):
    function, made = step.step.compiled, step.step
    if made.has_ring and made.has_anchor:
        call = lambda state, ring, anchor, inputs, params: function(state, ring, anchor, *(inputs + params))  # noqa: E731
    elif made.has_ring:
        call = lambda state, ring, anchor, inputs, params: function(state, ring, *(inputs + params))  # noqa: E731
    elif made.has_anchor:
        call = lambda state, ring, anchor, inputs, params: function(state, anchor, *(inputs + params))  # noqa: E731
    else:
        call = lambda state, ring, anchor, inputs, params: function(state, *(inputs + params))  # noqa: E731
    call = inlined(call)
    if len(made.outputs) > 1:
        return lambda step, state, ring, anchor, inputs, params: call(state, ring, anchor, inputs, params)

    def single(step, state, ring, anchor, inputs, params):
        state, value = call(state, ring, anchor, inputs, params)
        return state, (value,)

    return single


@inlined
def canonical(value):
    """The one NaN for unknown and infinite, 0.0 for -0.0."""
    return value + 0.0 if abs(value) <= LARGEST else np.nan


@inlined
def make_canonical(sink, count):
    for j in range(count):
        store_float(sink, j, canonical(load_float(sink, j)))


@inlined
def clear_until(anchors, at, stop):
    """Return the first bar from ``at`` on that is an anchor, ``stop`` if there is none."""
    while at + 8 <= stop and load_word(anchors + np.uintp(at), 0) == 0:
        at += 8
    while at < stop and not load_flag(anchors, at):
        at += 1
    return at


@compiled
def run_step(step, start, stop, inputs, outputs, params, state, ring, anchors):
    """Advance ``step`` over bars ``start`` to ``stop``; every argument after ``stop`` is an address.

    ``inputs`` and ``outputs`` are tables of (address, stride) words, ``anchors`` a byte for each bar, counted from
    bar 0 like the columns.

    Where columns are contiguous, bars are taken in blocks: a block without an unknown input and without an anchor
    runs without asking for either on every bar.  It is the same step, so the bits are those of the other loop.
    """
    held = read_state(step, state)
    settings = read_params(step, params)
    sources, sinks = fresh_ports(step)
    strides, steps = fresh_ports(step)
    packed = stop - start >= BRIEF
    for k in range(len(sources)):
        sources = tuple_setitem(sources, k, load_word(inputs, 2 * k))
        strides = tuple_setitem(strides, k, load_word(inputs, 2 * k + 1))
        packed = packed and strides[k] <= 1
    for k in range(len(sinks)):
        sinks = tuple_setitem(sinks, k, load_word(outputs, 2 * k))
        steps = tuple_setitem(steps, k, load_word(outputs, 2 * k + 1))
        packed = packed and steps[k] == 1
    constants = room_for_constants(step)
    if packed:
        for k in range(len(sources)):
            if strides[k] == 0:
                value = load_float(sources[k], 0)
                for j in range(min(BLOCK, stop - start)):
                    store_float(constants, k * BLOCK + j, value)
    values = fresh_inputs(step)
    unknown = fresh_outputs(step)
    for k in range(len(unknown)):
        unknown = tuple_setitem(unknown, k, np.nan)
    at = start
    while at < stop:
        end = stop
        clear = False
        heads, ends = fresh_ports(step)
        if packed:
            end = min(at + BLOCK, stop)
            if sees_anchor(step):
                end = max(clear_until(anchors, at, end), at + 1)
            clear = not (sees_anchor(step) and load_flag(anchors, at))
            for k in range(len(sources)):
                here = sources[k] + np.uintp(8 * at) if strides[k] == 1 else constants + np.uintp(8 * BLOCK * k)
                heads = tuple_setitem(heads, k, here)
            for k in range(len(sinks)):
                ends = tuple_setitem(ends, k, sinks[k] + np.uintp(8 * at))
            clear = clear and settled(step, held, settings)
            if clear and not sees_unknown(step):
                clear = known_inputs(step, heads, end - at)
        if clear:
            j = 0
            while j < end - at:
                if in_blocks(step):
                    left, put = heads, ends
                    for k in range(len(heads)):
                        left = tuple_setitem(left, k, heads[k] + np.uintp(8 * j))
                    for k in range(len(ends)):
                        put = tuple_setitem(put, k, ends[k] + np.uintp(8 * j))
                    room = constants + np.uintp(8 * BLOCK * len(heads))
                    held, done = run_block(step, held, ring, end - at - j, left, put, room, settings)
                    j += done
                    if j == end - at:
                        break
                for k in range(len(values)):
                    value = load_float(heads[k], j)
                    assume(value == value or sees_unknown(step))
                    values = tuple_setitem(values, k, value)
                assume(settled(step, held, settings))
                held, found = apply(step, held, ring, False, values, settings)
                for k in range(len(found)):
                    store_float(ends[k], j, found[k] if remembers(step) else canonical(found[k]))
                j += 1
            if remembers(step):  # apart: what depends on the bar before it is not slowed, and this takes many at once
                for k in range(len(ends)):
                    make_canonical(ends[k], end - at)
        else:
            for i in range(at, end):
                known = True
                for k in range(len(values)):
                    value = load_float(sources[k], np.intp(strides[k]) * i)
                    known = known and value == value
                    values = tuple_setitem(values, k, value)
                found = unknown
                if known or sees_unknown(step):
                    held, found = apply(step, held, ring, sees_anchor(step) and load_flag(anchors, i), values, settings)
                for k in range(len(found)):
                    store_float(sinks[k], np.intp(steps[k]) * i, canonical(found[k]))
        at = end
    write_state(step, state, held)


def address(step: Step) -> int:
    """Return the address of ``run_step`` for this step, compiled or loaded from the disk cache."""
    kind = step_type(step)
    signature = types.void(kind, types.intp, types.intp, *[types.uintp] * 6)
    return int(_get_wrapper_address(run_step, signature))
