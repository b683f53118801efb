"""The type of a result: PyTorch's rules for every pair of types, with dimensions and without."""

import itertools

import numpy as np

from harness import EXACT, flat, refusal

TYPES = (np.bool_, np.int64, np.float16, np.float32)
BINARY = "add sub div pow maximum eq".split()
UNARY = "neg abs sign exp sqrt floor relu sigmoid isnan logical_not sum mean prod amax argmax any count_nonzero".split()


def called(op, args, **attrs):
    """A case of the call, whatever PyTorch makes of it."""
    if refusal(op.name, flat(args), attrs):
        op.raises(args, **attrs)
    else:
        op.case(args, grad=False, **attrs)


def types(file):
    ones = {True: np.array([1, 1, 0]), False: np.array(1)}
    for name in BINARY:
        op = file.op(name, EXACT)
        other = "exponent" if name == "pow" else "other"
        for (left, right), (a, b) in itertools.product(
            itertools.product(TYPES, repeat=2), [(True, True), (True, False), (False, True)]
        ):
            called(op, {"input": ones[a].astype(left), other: ones[b].astype(right)})
    for name in UNARY:
        op = file.op(name, EXACT)
        for dtype in TYPES:
            called(op, {"input": ones[True].astype(dtype)})
    op = file.op("where", EXACT)
    for left, right in itertools.product(TYPES, repeat=2):
        called(op, {"condition": ones[True] > 0, "input": ones[True].astype(left), "other": ones[True].astype(right)})
    op = file.op("cumsum", EXACT)
    for dtype in TYPES:
        called(op, {"input": ones[True].astype(dtype)}, dim=0)
    op = file.op("softmax", (2.0**-10, 0.0))
    for dtype in TYPES:
        called(op, {"input": ones[True].astype(dtype)}, dim=0)


FAMILIES = [types]
