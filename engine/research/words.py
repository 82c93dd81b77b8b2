"""Sixty-four bars at once: comparisons as one word of a bitmap, arithmetic from columns to columns.

The values are loaded as vectors and never leave vector registers; bar 0 of the 64 lies in the lowest bit of a word.
Comparisons are ordered: whatever is unknown is false, `not equal` too.  Arithmetic is what the operators' steps
compute, in the same order and rounded as they are; what is not finite is the one NaN.
"""

# mypy: disable-error-code="unreachable, var-annotated"

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from engine.jit import inlined_bare
from engine.kernels.memory import load_float

LESS, LESS_EQUAL, EQUAL, NOT_EQUAL, NONZERO, BOTH, EITHER, CONSTANT = range(8)
ADD, SUBTRACT, MULTIPLY, DIVIDE, MINIMUM, MAXIMUM, NEGATE, ABSOLUTE = range(8, 16)
FLAT, ADD_SCALED, SUBTRACT_SCALED = range(16, 19)
WORD = 64
BYTES = np.uintp(8 * WORD)
LANES = 8
LARGEST = float(np.finfo(np.float64).max)
VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def _at(builder, address, index, scale, kind):
    """Return the pointer to what lies ``index * scale`` bytes after an address."""
    place = builder.add(address, builder.mul(index, ir.Constant(index.type, scale)))
    return builder.inttoptr(place, kind.as_pointer())


def _load(builder, address, index, k):
    """Return the ``k``-th vector of the ``index``-th 64 values."""
    start = builder.add(address, ir.Constant(address.type, 8 * LANES * k))
    value = builder.load(_at(builder, start, index, 8 * WORD, VECTOR))
    value.align = 8
    return value


def _store(builder, value, address, index, k):
    """Write the ``k``-th vector of the ``index``-th 64 values."""
    start = builder.add(address, ir.Constant(address.type, 8 * LANES * k))
    builder.store(value, _at(builder, start, index, 8 * WORD, VECTOR)).align = 8


def _known(builder, value):
    """Return what a step leaves of its results: the one NaN for unknown and infinite, 0.0 for -0.0."""
    finite = builder.fcmp_ordered("<=", _size(builder, value), _number(LARGEST))
    return builder.select(finite, builder.fadd(value, _number(0.0)), _number(float("nan")))


def _flat(builder, value):
    """Return a vector of one value."""
    blank = ir.Constant(VECTOR, ir.Undefined)
    one = builder.insert_element(blank, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, blank, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _number(value):
    return ir.Constant(VECTOR, [value] * LANES)


def _comparison(predicate, right_is_level):
    """Return the intrinsic (address, address or level, address of the words, words)."""

    @intrinsic
    def pack(typing, left, right, out, words):
        def code(context, builder, signature, args):
            whole = ir.IntType(64)
            level = _flat(builder, args[1]) if right_is_level else None
            with cgutils.for_range(builder, args[3]) as loop:
                word = ir.Constant(whole, 0)
                for k in range(WORD // LANES):
                    other = level if right_is_level else _load(builder, args[1], loop.index, k)
                    truths = builder.fcmp_ordered(predicate, _load(builder, args[0], loop.index, k), other)
                    bits = builder.zext(builder.bitcast(truths, ir.IntType(LANES)), whole)
                    word = builder.or_(word, builder.shl(bits, ir.Constant(whole, LANES * k)))
                builder.store(word, _at(builder, args[2], loop.index, 8, whole))
            return context.get_dummy_value()

        return types.void(types.uintp, types.float64 if right_is_level else types.uintp, types.uintp, types.intp), code

    return pack


def _arithmetic(emit):
    """Return the intrinsic (address, address, address of the results, how many 64 values)."""

    @intrinsic
    def operate(typing, left, right, out, words):
        def code(context, builder, signature, args):
            with cgutils.for_range(builder, args[3]) as loop:
                for k in range(WORD // LANES):
                    a, b = (_load(builder, side, loop.index, k) for side in args[:2])
                    _store(builder, _known(builder, emit(builder, a, b)), args[2], loop.index, k)
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.uintp, types.intp), code

    return operate


def _scaled(name):
    """Return the intrinsic for base + level * column or base - level * column, each rounded as its step rounds it.

    It takes (address of the base, address of the column, level, address of the results, how many 64 values).
    """

    @intrinsic
    def operate(typing, base, column, level, out, words):
        def code(context, builder, signature, args):
            flat = _flat(builder, args[2])
            with cgutils.for_range(builder, args[4]) as loop:
                for k in range(WORD // LANES):
                    a, b = (_load(builder, side, loop.index, k) for side in args[:2])
                    reach = _known(builder, builder.fmul(flat, b))
                    _store(builder, _known(builder, getattr(builder, name)(a, reach)), args[3], loop.index, k)
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.float64, types.uintp, types.intp), code

    return operate


def _logic(name):
    """Return the intrinsic (address, address, address of the results, words) of words."""

    @intrinsic
    def combine(typing, left, right, out, words):
        def code(context, builder, signature, args):
            whole = ir.IntType(64)
            with cgutils.for_range(builder, args[3]) as loop:
                a, b = (builder.load(_at(builder, side, loop.index, 8, whole)) for side in args[:2])
                builder.store(getattr(builder, name)(a, b), _at(builder, args[2], loop.index, 8, whole))
            return context.get_dummy_value()

        return types.void(types.uintp, types.uintp, types.uintp, types.intp), code

    return combine


def _smaller(predicate):
    def emit(builder, a, b):
        taken = builder.select(builder.fcmp_ordered(predicate, a, b), a, b)
        return builder.select(builder.fcmp_ordered("ord", a, b), taken, _number(float("nan")))

    return emit


def _size(builder, value):
    """Return the absolute values: the sign bits cleared."""
    bits = ir.VectorType(ir.IntType(64), LANES)
    cleared = builder.and_(builder.bitcast(value, bits), ir.Constant(bits, [0x7FFFFFFFFFFFFFFF] * LANES))
    return builder.bitcast(cleared, VECTOR)


less_columns, less_equal_columns, equal_columns, differ_columns = (
    _comparison(x, False) for x in ("<", "<=", "==", "!=")
)
below, at_most, equals, differs, above, at_least = (_comparison(x, True) for x in ("<", "<=", "==", "!=", ">", ">="))
add, subtract, multiply, divide = (
    _arithmetic(lambda builder, a, b, name=name: getattr(builder, name)(a, b))
    for name in ("fadd", "fsub", "fmul", "fdiv")
)
minimum, maximum = _arithmetic(_smaller("<")), _arithmetic(_smaller(">"))
add_scaled, subtract_scaled = _scaled("fadd"), _scaled("fsub")
both_words, either_words = _logic("and_"), _logic("or_")
negate = _arithmetic(lambda builder, a, b: builder.fneg(a))
absolute = _arithmetic(lambda builder, a, b: _size(builder, a))


@inlined_bare
def compare(op, a, b):
    """Compare two numbers; false if either is unknown."""
    if op == LESS:
        return a < b
    if op == LESS_EQUAL:
        return a <= b
    if op == EQUAL:
        return a == b
    return a < b or a > b


@inlined_bare
def words_of_columns(op, left, right, out, words):
    """Compare 64 * ``words`` values at one address with those at another; the words go to address ``out``."""
    if op == LESS:
        less_columns(left, right, out, words)
    elif op == LESS_EQUAL:
        less_equal_columns(left, right, out, words)
    elif op == EQUAL:
        equal_columns(left, right, out, words)
    else:
        differ_columns(left, right, out, words)


@inlined_bare
def words_of_level(op, left, level, swapped, out, words):
    """Compare 64 * ``words`` values with a level; ``swapped``: the level with the values."""
    if op == LESS:
        if swapped:
            above(left, level, out, words)
        else:
            below(left, level, out, words)
    elif op == LESS_EQUAL:
        if swapped:
            at_least(left, level, out, words)
        else:
            at_most(left, level, out, words)
    elif op == EQUAL:
        equals(left, level, out, words)
    else:
        differs(left, level, out, words)


@inlined_bare
def part_of_columns(op, left, right, count):
    """Do as `words_of_columns` for fewer than 64 values, and read no more."""
    word = np.uint64(0)
    for k in range(count):
        if compare(op, load_float(left, k), load_float(right, k)):
            word |= np.uint64(1) << np.uint64(k)
    return word


@inlined_bare
def part_of_level(op, left, level, swapped, count):
    """Do as `words_of_level` for fewer than 64 values, and read no more."""
    word = np.uint64(0)
    for k in range(count):
        value = load_float(left, k)
        if compare(op, level, value) if swapped else compare(op, value, level):
            word |= np.uint64(1) << np.uint64(k)
    return word


@inlined_bare
def operate(op, left, right, out, words):
    """Write op(left, right) of ``words`` words, or of 64 * ``words`` values; each side is given by its address."""
    if op == BOTH:
        both_words(left, right, out, words)
    elif op == EITHER:
        either_words(left, right, out, words)
    elif op == ADD:
        add(left, right, out, words)
    elif op == SUBTRACT:
        subtract(left, right, out, words)
    elif op == MULTIPLY:
        multiply(left, right, out, words)
    elif op == DIVIDE:
        divide(left, right, out, words)
    elif op == MINIMUM:
        minimum(left, right, out, words)
    elif op == MAXIMUM:
        maximum(left, right, out, words)
    elif op == NEGATE:
        negate(left, right, out, words)
    else:
        absolute(left, right, out, words)


@inlined_bare
def operate_scaled(op, base, column, level, out, words):
    """Write base + level * column, or base - level * column, of 64 * ``words`` values."""
    if op == ADD_SCALED:
        add_scaled(base, column, level, out, words)
    else:
        subtract_scaled(base, column, level, out, words)
