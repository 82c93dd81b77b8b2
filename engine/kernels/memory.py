"""Flat float64 memory seen from compiled code: read and write by address and index.

A step's ring is such an address.  In plain Python the same calls index an array, with bounds checked.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

import engine.jit  # noqa: F401  (this file is compiled code: its text belongs to the cache digest)


def load(memory, index):
    """Return the float64 at ``index`` of ``memory`` (an address when compiled, a checked array in plain Python)."""
    if index < 0:
        raise IndexError(f"index {index} before the start of the memory")
    return np.float64(memory[index])


def store(memory, index, value):
    """Write ``value`` at ``index`` of ``memory``."""
    if index < 0:
        raise IndexError(f"index {index} before the start of the memory")
    memory[index] = value


def _cell(builder, address, index, kind):
    return builder.gep(builder.inttoptr(address, kind.as_pointer()), [index])


def float_at(builder, address, index):
    """Return the pointer to a float64, in the code of an intrinsic; the index is a value or a whole number."""
    if isinstance(index, int):
        index = ir.Constant(ir.IntType(64), index)
    return _cell(builder, address, index, ir.DoubleType())


@intrinsic
def load_float(typing, address, index):
    """Load a float64."""

    def code(context, builder, signature, args):
        return builder.load(_cell(builder, args[0], args[1], ir.DoubleType()))

    return types.float64(types.uintp, types.intp), code


@intrinsic
def store_float(typing, address, index, value):
    """Store a float64."""

    def code(context, builder, signature, args):
        builder.store(args[2], _cell(builder, args[0], args[1], ir.DoubleType()))
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.float64), code


@intrinsic
def load_word(typing, address, index):
    """Load an unsigned 64-bit word: an address or a stride of a node's table."""

    def code(context, builder, signature, args):
        return builder.load(_cell(builder, args[0], args[1], ir.IntType(64)), align=1)

    return types.uintp(types.uintp, types.intp), code


@intrinsic
def store_word(typing, address, index, value):
    """Store an unsigned 64-bit word."""

    def code(context, builder, signature, args):
        builder.store(args[2], _cell(builder, args[0], args[1], ir.IntType(64)), align=1)
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp, types.uintp), code


@intrinsic
def prefetch(typing, address):
    """Ask for the cache line at an address that is read soon; any address will do."""

    def code(context, builder, signature, args):
        number, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        flags = [ir.Constant(number, x) for x in (0, 3, 1)]  # to read, keep near, data
        builder.call(function, [builder.inttoptr(args[0], pointer), *flags])
        return context.get_dummy_value()

    return types.void(types.uintp), code


@intrinsic
def assume(typing, condition):
    """Tell the compiler what is always so here."""

    def code(context, builder, signature, args):
        builder.assume(args[0])
        return context.get_dummy_value()

    return types.void(types.boolean), code


@intrinsic
def pointer(typing, address):
    """Return an address as a pointer, for ``numba.carray``."""

    def code(context, builder, signature, args):
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.uintp), code


@intrinsic
def load_flag(typing, address, index):
    """Load a byte as a flag."""

    def code(context, builder, signature, args):
        byte = builder.load(_cell(builder, args[0], args[1], ir.IntType(8)))
        return builder.icmp_unsigned("!=", byte, ir.Constant(ir.IntType(8), 0))

    return types.boolean(types.uintp, types.intp), code


@overload(load, inline="never")
def _load(memory, index):
    return lambda memory, index: load_float(memory, index)


@overload(store, inline="never")
def _store(memory, index, value):
    return lambda memory, index, value: store_float(memory, index, value)
