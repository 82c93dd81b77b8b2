"""What a step is to the compiler: a type of its own, and each of its parts inlined into the driver."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core.typing.typeof import typeof_impl
from numba.extending import NativeValue, models, overload, register_model, unbox

from engine.jit import inlined
from engine.kernels.memory import load_float, stack_floats, store_float
from engine.kernels.step import Step

BLOCK = 512  # bars that are looked through for unknown values at once: a column of them is 4 kB
ROOMS = 4  # columns of a block that a step's block form has for itself
INLINE: Any = {"forceinline": True}

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
def room_for_columns(step): ...
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


@overload(room_for_columns, jit_options=INLINE)
def _room_for_columns(step):
    room = stack_floats(BLOCK * (len(step.step.inputs) + (ROOMS if step.step.block is not None else 0)))
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
