"""What a step is to the compiler: a type of its own, and each of its parts inlined into the driver.

What only depends on the declaration of the step is written as an intrinsic: a function would be compiled anew for every
step, twenty of them for longer than the step itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.typeof import typeof_impl
from numba.extending import NativeValue, intrinsic, models, overload, register_model, unbox

from engine.jit import INLINED
from engine.kernels.memory import float_at
from engine.kernels.step import Step

BLOCK = 512  # bars that are looked through for unknown values at once: a column of them is 4 kB
ROOMS = 4  # columns of a block that a step's block form has for itself

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


def fact(of: Callable[[Step], int], kind: Any = types.boolean) -> Any:
    """Return a compiled function from a step to a number that its declaration says."""

    @intrinsic
    def answer(typing, step):
        value = int(of(step.step))
        return kind(step), lambda context, builder, signature, args: ir.Constant(context.get_value_type(kind), value)

    return answer


sees_unknown = fact(lambda step: step.sees_unknown)
sees_anchor = fact(lambda step: step.has_anchor)
has_ring = fact(lambda step: step.has_ring)
remembers = fact(lambda step: bool(step.state))
in_blocks = fact(lambda step: step.block is not None)
state_words = fact(lambda step: len(step.state), types.intp)


def nothing(kind: Any) -> Any:
    """Return the code of zeros of a kind."""
    return lambda context, builder, signature, args: context.get_constant_null(kind)


@intrinsic
def fresh_inputs(typing, step):
    """Return a tuple with room for the inputs."""
    kind = types.Tuple([types.float64] * len(step.step.inputs))
    return kind(step), nothing(kind)


@intrinsic
def fresh_outputs(typing, step):
    """Return a tuple with room for the outputs."""
    kind = types.Tuple([types.float64] * len(step.step.outputs))
    return kind(step), nothing(kind)


@intrinsic
def fresh_ports(typing, step):
    """Return two tuples with room for the addresses of the inputs and of the outputs."""
    kind = types.Tuple([types.Tuple([types.uintp] * len(names)) for names in (step.step.inputs, step.step.outputs)])
    return kind(step), nothing(kind)


def reader(step: Any, address: Any, whole: Sequence[bool]) -> Any:
    """Return signature and code of reading a tuple of floats and whole numbers: numba has no such loop."""
    kind = types.Tuple([types.int64 if one else types.float64 for one in whole])

    def code(context, builder, signature, args):
        values = []
        for k, one in enumerate(whole):
            value = builder.load(float_at(builder, args[1], k))
            values.append(builder.fptosi(value, ir.IntType(64)) if one else value)
        return context.make_tuple(builder, kind, values)

    return kind(step, address), code


@intrinsic
def read_params(typing, step, address):
    """Return the parameters."""
    return reader(step, address, step.step.whole)


@intrinsic
def read_state(typing, step, address):
    """Return the state."""
    return reader(step, address, step.step.counts)


@intrinsic
def write_state(typing, step, address, state):
    """Write the state, whole numbers as floats."""

    def code(context, builder, signature, args):
        for k in range(len(step.step.state)):
            value = builder.extract_value(args[2], k)
            value = context.cast(builder, value, state[k], types.float64)
            builder.store(value, float_at(builder, args[1], k))
        return context.get_dummy_value()

    return types.void(step, address, state), code


@intrinsic
def room_for_columns(typing, step):
    """Return the address of the columns that a block has for itself, on the caller's stack.

    They hold anything: ``cgutils.alloca_once`` would fill them with zeros at every call.
    """
    count = BLOCK * (len(step.step.inputs) + (ROOMS if step.step.block is not None else 0))

    def code(context, builder, signature, args):
        with builder.goto_entry_block():
            made = builder.alloca(ir.ArrayType(ir.DoubleType(), count))
        return builder.ptrtoint(made, ir.IntType(64))

    return types.uintp(step), code


@intrinsic
def sum_of_inputs(typing, step, heads, j):
    """Return the sum of the inputs of a bar: unknown if one of them is, or if infinities meet."""

    def code(context, builder, signature, args):
        total = ir.Constant(ir.DoubleType(), 0.0)
        for k in range(len(step.step.inputs)):
            value = builder.load(float_at(builder, builder.extract_value(args[1], k), args[2]))
            total = value if k == 0 else builder.fadd(total, value)
        return total

    return types.float64(step, heads, types.intp), code


@intrinsic
def with_one_output(typing, made):
    """Return a state and an output as a state and a tuple of outputs."""
    state, output = made
    kind = types.Tuple([state, types.UniTuple(types.float64, 1)])

    def code(context, builder, signature, args):
        value = context.cast(builder, builder.extract_value(args[0], 1), output, types.float64)
        outputs = context.make_tuple(builder, kind[1], [value])
        return context.make_tuple(builder, kind, [builder.extract_value(args[0], 0), outputs])

    return kind(made), code


def settled(step, state, params): ...
def run_block(step, state, ring, count, heads, ends, room, params): ...
def apply(step, state, ring, anchor, inputs, params): ...


@overload(settled, jit_options=INLINED)
def _settled(step, state, params):
    function = step.step.settled
    if function is None:
        return lambda step, state, params: True
    return lambda step, state, params: function(state, *params)


@overload(run_block, jit_options=INLINED)
def _run_block(step, state, ring, count, heads, ends, room, params):
    block = step.step.block
    if block is None:
        return lambda step, state, ring, count, heads, ends, room, params: (state, 0)
    if step.step.has_ring:
        return lambda step, state, ring, count, heads, ends, room, params: block(
            state, ring, count, *(heads + ends + (room,) + params)
        )
    return lambda step, state, ring, count, heads, ends, room, params: block(
        state, count, *(heads + ends + (room,) + params)
    )


@overload(apply, jit_options=INLINED)
def _apply(step, state, ring, anchor, inputs, params):
    function, made = step.step.compiled, step.step
    kind = 2 * made.has_ring + made.has_anchor
    if len(made.outputs) == 1:
        return (
            lambda step, state, ring, anchor, inputs, params: with_one_output(function(state, *(inputs + params))),
            lambda step, state, ring, anchor, inputs, params: with_one_output(
                function(state, anchor, *(inputs + params))
            ),
            lambda step, state, ring, anchor, inputs, params: with_one_output(
                function(state, ring, *(inputs + params))
            ),
            lambda step, state, ring, anchor, inputs, params: with_one_output(
                function(state, ring, anchor, *(inputs + params))
            ),
        )[kind]
    return (
        lambda step, state, ring, anchor, inputs, params: function(state, *(inputs + params)),
        lambda step, state, ring, anchor, inputs, params: function(state, anchor, *(inputs + params)),
        lambda step, state, ring, anchor, inputs, params: function(state, ring, *(inputs + params)),
        lambda step, state, ring, anchor, inputs, params: function(state, ring, anchor, *(inputs + params)),
    )[kind]
