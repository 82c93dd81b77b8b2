"""Four bars at once: a compiled type of four float64 in one register, for the block forms of steps.

What does not depend on the bar before is done for four bars by one instruction, what does is done lane by lane; the
operations are those of the step, so the bits are too.  A float64 beside a ``Four`` counts four times.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, overload, register_model

from engine.jit import INLINED, inlined
from engine.kernels.fused import fma

__all__ = [
    "all4",
    "all_of4",
    "before4",
    "bits4",
    "fetch4",
    "four",
    "lane",
    "load4",
    "odd4",
    "put4",
    "root4",
    "smoothed4",
    "store4",
    "summed4",
    "where4",
]

AHEAD = 256  # bars: how far before its use memory is asked for; at 512 the lines of six columns share sets of the cache
VECTOR = ir.VectorType(ir.DoubleType(), 4)
INDEX = ir.IntType(32)


class FourType(types.Type):
    """Four float64."""

    def __init__(self) -> None:
        super().__init__(name="Four")


class FlagsType(types.Type):
    """Four booleans."""

    def __init__(self) -> None:
        super().__init__(name="Flags")


FOUR, FLAGS = FourType(), FlagsType()


@register_model(FourType)
class _FourModel(PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, VECTOR)


@register_model(FlagsType)
class _FlagsModel(PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(ir.IntType(1), 4))


def _widened(context: Any, builder: Any, value: Any, kind: Any) -> Any:
    """Return a Four as it is, a number four times."""
    if kind == FOUR:
        return value
    number = context.cast(builder, value, kind, types.float64)
    one = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, ir.Constant(INDEX, 0))
    return builder.shuffle_vector(one, ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(INDEX, 4), [0] * 4))


def _operation(build: Any, result: Any = FOUR) -> Any:
    """Return the intrinsic of two operands that ``build(builder, a, b)`` emits."""

    @intrinsic
    def made(typing, a, b):
        def code(context, builder, signature, args):
            values = [_widened(context, builder, x, k) for x, k in zip(args, signature.args, strict=True)]
            return build(builder, *values)

        return result(a, b), code

    return made


def _operator(function: Any, build: Any, result: Any = FOUR) -> None:
    call = _operation(build, result)

    @overload(function, jit_options=INLINED)
    def _(a, b):
        if FOUR in (a, b):
            return lambda a, b: call(a, b)


_operator(operator.add, lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_operator(operator.gt, lambda builder, a, b: builder.fcmp_ordered(">", a, b), FLAGS)
_operator(operator.lt, lambda builder, a, b: builder.fcmp_ordered("<", a, b), FLAGS)
_operator(operator.le, lambda builder, a, b: builder.fcmp_ordered("<=", a, b), FLAGS)
_operator(operator.eq, lambda builder, a, b: builder.fcmp_ordered("==", a, b), FLAGS)


@overload(operator.and_, jit_options=INLINED)
def _and(a, b):
    if a == FLAGS and b == FLAGS:
        return lambda a, b: both(a, b)


@overload(operator.invert, jit_options=INLINED)
def _not(a):
    if a == FLAGS:
        return lambda a: opposite(a)


@intrinsic
def both(typing, a, b):
    return FLAGS(FLAGS, FLAGS), lambda context, builder, signature, args: builder.and_(*args)


@intrinsic
def opposite(typing, a):
    return FLAGS(FLAGS), lambda context, builder, signature, args: builder.not_(args[0])


def _called(name: str, count: int) -> Any:
    """Return the code of a vector instruction of LLVM's own."""

    def code(context, builder, signature, args):
        values = [_widened(context, builder, x, k) for x, k in zip(args, signature.args, strict=True)]
        kind = ir.FunctionType(VECTOR, [VECTOR] * count)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v4f64"), values)

    return code


@intrinsic
def fused4(typing, a, b, c):
    return FOUR(a, b, c), _called("fma", 3)


@intrinsic
def root4(typing, a):
    """Return four square roots."""
    return FOUR(a), _called("sqrt", 1)


@intrinsic
def size4(typing, a):
    return FOUR(a), _called("fabs", 1)


@overload(fma, inline="never")
def _fma4(a, b, c):
    if FOUR in (a, b, c):
        return lambda a, b, c: fused4(a, b, c)


@overload(abs, jit_options=INLINED)
def _abs4(a):
    if a == FOUR:
        return lambda a: size4(a)


@intrinsic
def where4(typing, flags, a, b):
    """Return ``a`` where the flag is set, ``b`` elsewhere."""

    def code(context, builder, signature, args):
        kinds = signature.args[1:]
        values = [_widened(context, builder, x, k) for x, k in zip(args[1:], kinds, strict=True)]
        return builder.select(args[0], *values)

    return FOUR(FLAGS, a, b), code


@intrinsic
def all_of4(typing, value):
    """Return one number four times."""

    def code(context, builder, signature, args):
        return _widened(context, builder, args[0], types.float64)

    return FOUR(types.float64), code


@intrinsic
def bits4(typing, flags):
    """Return the flags as a number from 0 to 15, the first bar in the lowest bit."""

    def code(context, builder, signature, args):
        return builder.zext(builder.bitcast(args[0], ir.IntType(4)), ir.IntType(64))

    return types.int64(FLAGS), code


@intrinsic
def lane(typing, value, place):
    """Return one of the four."""

    def code(context, builder, signature, args):
        return builder.extract_element(args[0], builder.trunc(args[1], INDEX))

    return types.float64(FOUR, types.int64), code


@intrinsic
def four(typing, a, b, c, d):
    """Return four numbers as one."""

    def code(context, builder, signature, args):
        made = ir.Constant(VECTOR, ir.Undefined)
        for k, value in enumerate(args):
            made = builder.insert_element(made, value, ir.Constant(INDEX, k))
        return made

    return FOUR(*[types.float64] * 4), code


@intrinsic
def load4(typing, address, index):
    """Load four float64 from ``index`` on."""

    def code(context, builder, signature, args):
        place = builder.gep(builder.inttoptr(args[0], ir.DoubleType().as_pointer()), [args[1]])
        return builder.load(builder.bitcast(place, VECTOR.as_pointer()), align=8)

    return FOUR(types.uintp, types.intp), code


@intrinsic
def store4(typing, address, index, value):
    """Store four float64 from ``index`` on."""

    def code(context, builder, signature, args):
        place = builder.gep(builder.inttoptr(args[0], ir.DoubleType().as_pointer()), [args[1]])
        builder.store(args[2], builder.bitcast(place, VECTOR.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, FOUR), code


@intrinsic
def fetch4(typing, address, index):
    """Ask for the memory of a column that is used some hundred bars after ``index``; any address will do."""

    def code(context, builder, signature, args):
        place = builder.gep(builder.inttoptr(args[0], ir.DoubleType().as_pointer()), [args[1]])
        ahead = builder.gep(place, [ir.Constant(ir.IntType(64), AHEAD)])
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, INDEX, INDEX, INDEX])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        flags = [ir.Constant(INDEX, x) for x in (0, 3, 1)]  # to read, keep near, data
        builder.call(function, [builder.bitcast(ahead, pointer), *flags])
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp), code


@inlined
def all4(flags):
    """Return whether all four flags are set."""
    return bits4(flags) == 15


@inlined
def odd4(value):
    """Return whether one of the four is NaN or infinite."""
    gap = value - value
    return not all4(gap == gap)


@inlined
def smoothed4(keep, value, push):
    """Return ``value = fma(keep, value, push)`` for four bars in turn: lane 3 is the last."""
    first = fma(keep, value, lane(push, 0))
    second = fma(keep, first, lane(push, 1))
    third = fma(keep, second, lane(push, 2))
    return four(first, second, third, fma(keep, third, lane(push, 3)))


@inlined
def summed4(total, change):
    """Return ``total += change`` for four bars in turn: lane 3 is the last."""
    first = total + lane(change, 0)
    second = first + lane(change, 1)
    third = second + lane(change, 2)
    return four(first, second, third, third + lane(change, 3))


@inlined
def before4(last, value):
    """Return for each bar the value of the bar before; ``last`` is that of the first."""
    return four(last, lane(value, 0), lane(value, 1), lane(value, 2))


@inlined
def put4(address, index, value):
    """Store four finite outputs as the driver does one: 0.0 for -0.0."""
    store4(address, index, value + 0.0)
    fetch4(address, index)
