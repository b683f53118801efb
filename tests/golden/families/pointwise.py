"""Pointwise operations."""

import numpy as np

from harness import EXACT, INF, NAN, POINTWISE, SAME, STEEP, TRIG, sum_tolerance
from families.shape import shape

SHAPES = [(), (1,), (7,), (0,), (3, 5), (2, 1, 4), (2, 3, 4, 5), (263,)]
# So that every operation has twenty shapes at least.
MORE_SHAPES = [
    (2,),
    (4,),
    (1, 1),
    (5, 0),
    (11, 13),
    (3, 1, 2),
    (2, 2, 2),
    (1, 7, 1, 3),
    (2, 1, 3, 1, 2),
    (2, 1, 2, 1, 2, 1),
]


def unary(file, name, low, high, tol=POINTWISE, signed=False):
    op = file.op(name, tol)
    for shape in SHAPES + MORE_SHAPES:
        op.case({"input": (op.signed if signed else op.uniform)(shape, low, high)})
    if name not in ("asin", "acos", "frac", "erfinv"):
        op.case({"input": op.index((2, 3), 3) + 1})  # integers: most make floats of them
    if name not in ("abs", "neg", "floor", "ceil", "round", "trunc", "frac", "erfinv"):
        op.case({"input": np.array([True, True])})
    elif name not in ("frac", "erfinv"):
        op.raises({"input": np.array([True, True])})
    return op


def special(op, values, **attrs):
    """A case of NaNs, infinities, poles or invalid arguments: values only."""
    op.case({"input": np.float32(values)}, grad=False, **attrs)


def pointwise_unary(file):
    op = unary(file, "abs", -3, 3, EXACT)
    op.case({"input": np.float32([[0, 1, -1], [-2, 0, 3]])})  # gradient 0 at 0
    special(op, [NAN, INF, -INF])
    op = unary(file, "neg", -3, 3, EXACT)
    special(op, [NAN, INF, -INF])
    op = unary(file, "sign", -3, 3, EXACT)
    op.case({"input": np.float32([[0, 1, -1], [-2, 0, 3]])})
    special(op, [NAN, INF, -INF])  # sign(NaN) is 0

    op = unary(file, "exp", -5, 5, STEEP)
    special(op, [NAN, INF, -INF, 100, -200])
    op = unary(file, "expm1", -2, 3, STEEP)
    op.case({"input": op.signed((33,), 1e-6, 1e-3)}, tol=(1e-5, 1e-10))  # relative accuracy near 0
    special(op, [NAN, INF, -INF, 100, -200])
    op = unary(file, "log", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary(file, "log1p", -0.9, 5)
    op.case({"input": op.signed((33,), 1e-6, 1e-3)}, tol=(1e-5, 1e-10))  # relative accuracy near 0
    special(op, [NAN, INF, -INF, -1, -2])
    op = unary(file, "log2", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary(file, "sqrt", 0.1, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary(file, "rsqrt", 0.1, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary(file, "reciprocal", 0.2, 5, signed=True)
    special(op, [NAN, INF, -INF, 0])
    op = unary(file, "square", -3, 3)
    special(op, [NAN, INF, -INF, 1e30])


def pointwise_rounding(file):
    op = unary(file, "sin", -6, 6, TRIG)
    op.case({"input": op.uniform((65,), -50, 50)}, tol=(1e-5, 1e-5))  # error of the argument reduction
    special(op, [NAN, INF, -INF])
    op = unary(file, "cos", -6, 6, TRIG)
    op.case({"input": op.uniform((65,), -50, 50)}, tol=(1e-5, 1e-5))
    special(op, [NAN, INF, -INF])
    for name in ("asin", "acos"):
        op = unary(file, name, -0.9, 0.9, TRIG)
        op.case({"input": np.float32([-1, 1])}, grad=False)
        special(op, [NAN, 2, -2])
    op = unary(file, "log10", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary(file, "tan", -1.3, 1.3, STEEP)
    special(op, [NAN, INF, -INF])
    op = unary(file, "atan", -4, 4)
    op.case({"input": op.signed((9,), 1e2, 1e6)})
    special(op, [NAN, INF, -INF])
    op = unary(file, "sinh", -4, 4, STEEP)
    special(op, [NAN, INF, -INF, 100, -100])
    op = unary(file, "cosh", -4, 4, STEEP)
    special(op, [NAN, INF, -INF, 100, -100])
    op = unary(file, "erf", -3, 3)
    op.case({"input": np.float32([0, 5, -5, 20, -20])})
    special(op, [NAN, INF, -INF])
    op = unary(file, "erfinv", -0.95, 0.95)
    op.case({"input": np.float32([1e-30, 0.9999, -0.9999, 0.9999999, -0.99999994])}, grad=False)
    op.case({"input": np.float32([-1, 1])}, grad=False)
    special(op, [NAN, INF, -INF, 1.5])
    op.case({"input": op.index((2, 3), 3)}, grad=False)
    op.case({"input": np.array([True, False])}, grad=False)

    for name in ("floor", "ceil", "round", "trunc"):  # their gradients are 0
        op = unary(file, name, -5, 5, EXACT)
        op.case({"input": np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])})  # round: to even
        op.case({"input": np.float32([-3, 0, 4, 8388609, -16777216, 1e20])})
        special(op, [NAN, INF, -INF])
        if name == "round":
            for decimals in (1, 3, -1, -3, 0):
                op.case({"input": op.uniform((3, 5), -50, 50)}, tol=(1e-5, 1e-5), decimals=decimals)
            op.raises({"input": op.index((3,), 9)}, decimals=1)

    op = unary(file, "frac", -5, 5, EXACT)
    op.case({"input": np.float32([-2.5, -1, -0.0, 0.5, 8388609, -1e20])})
    special(op, [NAN])
    op.raises({"input": op.index((3,), 9)})
    op = file.op("clamp", EXACT)
    for shape, attrs in [
        ((), {"min": -1.0, "max": 1.0}),
        ((7,), {"min": -1.0, "max": 1.0}),
        ((0,), {"min": -1.0, "max": 1.0}),
        ((3, 5), {"min": -0.5}),
        ((2, 1, 4), {"max": 0.25}),
        ((3, 4), {"min": None, "max": 0.75}),
        ((2, 3, 4, 5), {"min": 0, "max": 2}),
        ((521,), {"min": -2.0, "max": 0.5}),
        ((9,), {"min": 1.0, "max": -1.0}),  # min > max: all max, gradient 0
    ]:
        op.case({"input": op.uniform(shape, -3, 3)}, **attrs)
    # At a bound the gradient depends on the version of PyTorch: 0 in 2.15, 1 in older ones.
    op.case({"input": np.float32([-2, -1, 0, 1, 2])}, min=-1.0, max=1.0)
    special(op, [NAN, INF, -INF], min=-1.0, max=1.0)
    op.raises({"input": op.uniform((3,))})  # neither min nor max
    special(op, [1, 2, NAN], min="nan")
    special(op, [1, 2, INF], max="-inf")
    for size, attrs in [((7,), {"min": -1, "max": 3}), ((2, 3), {"min": 0.5}), ((4,), {"max": 2})]:
        op.case({"input": op.index(size, 9) - 4}, **attrs)
    op.tol = (2e-5, 1e-5)
    for size, low, high in [
        ((7,), (7,), (7,)),
        ((3, 5), (5,), (3, 1)),
        ((2, 3, 4), (), (4,)),
        ((), (3,), (2, 1)),
        ((0, 3), (3,), (1,)),
        ((3, 4), (3, 4), None),
        ((3, 4), None, (1, 4)),
    ]:
        args = {"input": op.uniform(size, -3, 3)}
        if low is not None:
            args["min"] = op.uniform(low, -2, 0.5)
        if high is not None:
            args["max"] = op.uniform(high, -0.5, 2)
        op.case(args)
    ties = {"input": op.whole((5, 6), -2, 2), "min": op.whole((6,), -2, 0), "max": op.whole((5, 1), -1, 2)}
    op.case(ties)
    op.case({"input": np.float32([1, NAN, 2]), "min": np.float32([NAN, 0, 3])}, grad=False)
    op.raises({"input": op.uniform((3,)), "min": op.uniform((4,))})


def questions(file):
    values = [NAN, INF, -INF, 0, -0.0, 1.5, -2, 1e30, 1e-30]
    for name in ("isnan", "isinf", "isfinite", "logical_not"):
        op = file.op(name, SAME)
        for shape in SHAPES + MORE_SHAPES:
            op.case({"input": np.asarray(op.rng.choice(values, shape), np.float32)})
        op.case({"input": np.float32(values)})
        op.case({"input": op.index((2, 3), 2)})
    for shape in [(), (6,), (2, 3), (0, 2)]:
        op.case({"input": op.bools(shape)})  # logical_not


PAIRS = [
    ((5,), (5,)),
    ((3, 1, 5), (4, 1)),
    ((2, 3, 4), ()),
    ((), (3, 2)),
    ((), ()),
    ((2, 0, 3), (1, 3)),
    ((1,), (4, 3)),
    ((2, 1, 3, 1), (1, 4, 1, 5)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((263,), (1,)),
    ((5, 7, 11), (5, 7, 11)),
    ((1, 1), (1,)),
    ((0,), (1,)),
    ((2, 1, 2, 1, 2, 1), (3, 1, 3, 1, 3)),
    ((13,), (13,)),
    ((6, 4), (6, 1)),
]


def broadcast_tolerance(base):
    """`base`, widened to that of the longest sum over broadcast dimensions in the gradients."""

    def tolerance(args, outputs):
        length = max(outputs[0].numel() // max(a.numel(), 1) for a in args.values())
        rtol, atol = sum_tolerance(length)
        return base if length <= 10 else (max(base[0], rtol), max(base[1], atol))

    return tolerance


def mixed(op, second="other", pairs=("if", "fi", "ii", "ib", "bf", "fs", "is"), low=1):
    """Operands of several types: integers, truth values, floats, and a float without dimensions."""
    make = {
        "i": lambda: op.index((2, 3), 5) + low,
        "b": lambda: np.ones((2, 3), bool),
        "f": lambda: op.uniform((2, 3), 0.5, 2),
        "s": lambda: op.uniform((), 0.5, 2),
    }
    for a, b in pairs:
        op.case({"input": make[a](), second: make[b]()}, grad=False)


def mismatch(op, second="other"):
    op.raises({"input": op.uniform((3,)), second: op.uniform((4,))})
    op.raises({"input": op.uniform((2, 3, 4)), second: op.uniform((2, 1, 4, 1))})


def pointwise_binary(file):
    for name in ("add", "sub"):
        op = file.op(name, broadcast_tolerance(POINTWISE))
        for a, b in PAIRS:
            op.case({"input": op.uniform(a), "other": op.uniform(b)})
        for alpha, (a, b) in zip([2, -0.5, 0, 1], [((3, 4), (3, 4)), ((2, 3), (3,)), ((4,), (4,)), ((), (2,))]):
            op.case({"input": op.uniform(a), "other": op.uniform(b)}, alpha=alpha)
        op.case({"input": op.uniform((3, 4))}, other=2.5)
        op.case({"input": op.uniform(())}, other=-3)
        op.case({"input": op.uniform((5,))}, other=2.5, alpha=-2)
        op.case({"input": np.float32([INF, INF, -INF, NAN]), "other": np.float32([INF, -INF, 1, 1])}, grad=False)
        mismatch(op)
        mixed(op, pairs=("if", "fi", "ii", "fs", "is") + (("bb", "ib", "bf") if name == "add" else ()))
        op.case({"input": op.index((4,), 9)}, other=2)
        op.case({"input": op.index((4,), 9)}, other=2.5)
        op.case({"input": op.index((4,), 9), "other": op.index((4,), 9)}, alpha=3)
        op.raises({"input": op.index((4,), 9), "other": op.index((4,), 9)}, alpha=2.5)
        if name == "sub":
            op.raises({"input": op.bools((4,)), "other": op.bools((4,))})
            op.raises({"input": op.uniform((4,)), "other": op.bools((4,))})

    op = file.op("mul", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a, -2, 2), "other": op.uniform(b, -2, 2)})
    op.case({"input": op.uniform((3, 4))}, other=2.5)
    op.case({"input": op.uniform(())}, other=-3)
    op.case({"input": np.float32([0, INF, -INF, NAN]), "other": np.float32([INF, -INF, 2, 0])}, grad=False)
    mismatch(op)
    mixed(op)
    op.case({"input": op.bools((9,)), "other": op.bools((9,))})

    op = file.op("pow", broadcast_tolerance(STEEP))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a, 0.3, 2), "exponent": op.uniform(b, -2, 3)})
    for exponent in (2, 3, -1, 0, 1, 4.0):
        op.case({"input": op.signed((2, 5), 0.5, 2)}, exponent=exponent)
    for exponent in (0.5, 2.5, -1.5):
        op.case({"input": op.uniform((7,), 0.3, 3)}, exponent=exponent)
    # 0^0 is 1; the gradients at a base or an exponent of 0 are finite.
    op.case({"input": np.float32([0, 0, 2, 0.5, 1]), "exponent": np.float32([2, 3, 0, 0, 0])})
    op.case({"input": np.float32([0, -1.5, 2])}, exponent=2)
    bases, exponents = [-2, -2, -3, -1.5, -2, 0, 0], [2, 3, -1, 0, 0.5, 0, -1]
    op.case({"input": np.float32(bases), "exponent": np.float32(exponents)}, grad=False)
    mismatch(op, "exponent")
    mixed(op, "exponent")
    op.case({"input": op.index((9,), 7) - 3, "exponent": op.index((9,), 5)})
    op.case({"input": op.index((9,), 7) - 3}, exponent=3)
    op.case({"input": op.index((9,), 7) + 1}, exponent=0.5)
    op.raises({"input": op.index((9,), 7)}, exponent=-1)


def extremes(file):
    for name in ("maximum", "minimum"):
        op = file.op(name, broadcast_tolerance((2e-6, 1e-6)))
        for a, b in PAIRS:
            op.case({"input": op.uniform(a), "other": op.uniform(b)})
        # Ties give half of the gradient to either side.
        op.case({"input": op.whole((5, 6), 0, 2), "other": op.whole((5, 6), 0, 2)})
        op.case({"input": op.whole((4, 1), 0, 1), "other": op.whole((3,), 0, 1)})
        op.case({"input": np.float32([NAN, 1, NAN, INF]), "other": np.float32([1, NAN, NAN, -INF])}, grad=False)
        mismatch(op)
        mixed(op)
        op.case({"input": op.bools((9,)), "other": op.bools((9,))})

    op = file.op("atan2", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.signed(a, 0.3, 3), "other": op.signed(b, 0.3, 3)})
    op.case({"input": np.float32([0, 0, 1, -1]), "other": np.float32([1, -1, 0, 0])})
    op.case({"input": np.float32([0, INF, 1, 1, NAN]), "other": np.float32([0, 1, INF, -INF, 1])}, grad=False)
    mismatch(op)
    mixed(op)


def comparisons(file):
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        op = file.op(name, SAME)
        for a, b in PAIRS:
            op.case({"input": op.whole(a, -1, 1), "other": op.whole(b, -1, 1)})
        op.case({"input": op.whole((3, 4), 0, 5) / np.float32(2)}, other=1.5)
        op.case({"input": op.whole((), -1, 1)}, other=0)
        op.case({"input": np.float32([NAN, NAN, INF, INF, 1]), "other": np.float32([NAN, 1, INF, -INF, INF])})
        mismatch(op)
        mixed(op)
        op.case({"input": op.bools((9,)), "other": op.bools((9,))})
        op.case({"input": op.index((9,), 4)}, other=1.5)

    for name in ("logical_and", "logical_or", "logical_xor"):
        op = file.op(name, SAME)
        for a, b in PAIRS:
            op.case({"input": op.bools(a), "other": op.bools(b)})
        op.case({"input": op.whole((4, 5), -1, 1), "other": op.whole((5,), -1, 1)})
        op.case({"input": np.float32([NAN, NAN, INF, 0.5]), "other": np.float32([NAN, 0, 0, -0.5])})  # NaN is true
        mismatch(op)
        mixed(op)


def division(file):
    op = file.op("div", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a, -2, 2), "other": op.signed(b, 0.5, 3)})
    op.case({"input": op.uniform((3, 4))}, other=2.5)
    op.case({"input": op.uniform(())}, other=-3)
    op.case({"input": np.float32([1, -1, 0, INF, 1]), "other": np.float32([0, 0, 0, INF, INF])}, grad=False)
    mismatch(op)
    mixed(op)
    op.case({"input": op.index((4,), 9)}, other=2)
    for mode in ("floor", "trunc"):
        for a, b in PAIRS:
            # Not of quotients that round to a whole number.
            op.case({"input": op.whole(a, -9, 9) + np.float32(0.25), "other": op.signed(b, 1, 3)}, rounding_mode=mode)
        mixed(op, pairs=("if", "fi", "fs", "is"), low=1)
        op.case({"input": op.index((9,), 19) - 9, "other": op.index((9,), 3) + 1}, rounding_mode=mode)
        op.case({"input": op.index((9,), 19) - 9, "other": -op.index((9,), 3) - 1}, rounding_mode=mode)
        op.case({"input": op.uniform((9,), -9, 9)}, other=2.5, rounding_mode=mode)
        edges = [1, -1, 0, 5, -5, INF], [0, 0, 0, INF, INF, 2]
        op.case({"input": np.float32(edges[0]), "other": np.float32(edges[1])}, grad=False, rounding_mode=mode)
    op.raises({"input": op.uniform((3,)), "other": op.uniform((3,))}, rounding_mode="round")

    for name in ("fmod", "remainder", "floor_divide"):
        op = file.op(name, broadcast_tolerance((1e-5, 1e-5)))
        gradient = name != "floor_divide"
        for a, b in PAIRS:
            op.case({"input": op.whole(a, -9, 9) + np.float32(0.25), "other": op.signed(b, 1, 3)}, grad=gradient)
        mixed(op, pairs=("if", "fi", "ii", "ib", "fs", "is"))
        op.case({"input": op.index((9,), 19) - 9, "other": op.index((9,), 3) + 1})
        op.case({"input": op.index((9,), 19) - 9, "other": -op.index((9,), 3) - 1})
        op.case({"input": op.uniform((9,), -9, 9)}, grad=gradient, other=2.5)
        op.case({"input": op.index((9,), 19) - 9}, other=-4)
        edges = [1, -1, 5, -5, INF, 1e20, -0.0], [INF, INF, 0, 0, 2, 3, 2]
        if name != "floor_divide":
            op.case({"input": np.float32(edges[0]), "other": np.float32(edges[1])}, grad=False)
        op.raises({"input": op.index((3,), 9)}, other=0)
        op.raises({"input": op.bools((3,)), "other": op.bools((3,))})
        mismatch(op)


def blends(file):
    op = file.op("lerp", broadcast_tolerance((1e-5, 1e-5)))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a), "end": op.uniform(b)}, weight=0.4)
        op.case({"input": op.uniform(a), "end": op.uniform(b), "weight": op.uniform(b, -1, 2)})
    op.case({"input": op.uniform((5,)), "end": op.uniform((5,))}, weight=-1.5)
    op.case({"input": op.uniform((5,)), "end": op.uniform((5,))}, weight=1)
    op.raises({"input": op.uniform((3,)), "end": op.uniform((4,))}, weight=0.5)
    op.raises({"input": op.index((3,), 9), "end": op.index((3,), 9)}, weight=0.5)
    for name in ("addcmul", "addcdiv"):
        op = file.op(name, broadcast_tolerance((1e-5, 1e-5)))
        for a, b in PAIRS:
            args = {"input": op.uniform(a), "tensor1": op.uniform(b), "tensor2": op.signed(a, 0.5, 2)}
            op.case(args)
            op.case({**args, "tensor2": op.signed((), 0.5, 2)}, value=-0.75)
        whole = {"input": op.index((3,), 9), "tensor1": op.index((3,), 9), "tensor2": op.index((3,), 9) + 1}
        if name == "addcmul":
            op.case(whole)
            op.case(whole, value=3)
        else:
            op.raises(whole)
        op.case({"input": op.uniform((3,)), "tensor1": op.uniform((3,)), "tensor2": op.signed((3,), 1, 2)}, value=2)
        op.raises({"input": op.uniform((3,)), "tensor1": op.uniform((4,)), "tensor2": op.uniform((3,))})
    op = file.op("masked_fill", broadcast_tolerance((2e-6, 1e-6)))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a), "mask": op.bools(b)}, value=-1.5)
        op.case({"input": op.uniform(a), "mask": op.bools(b), "value": op.uniform(())})
    op.case({"input": op.index((3, 4), 9), "mask": op.bools((4,))}, value=7)
    op.case({"input": op.bools((3, 4)), "mask": op.bools((4,))}, value=1)
    op.case({"input": op.uniform((3, 4)), "mask": op.bools((4,))}, value="-inf")
    op.case({"input": np.float32([NAN, 1, INF]), "mask": np.array([True, False, True])}, value=0)
    op.raises({"input": op.uniform((3,)), "mask": op.uniform((3,))}, value=0.0)
    op.raises({"input": op.uniform((3,)), "mask": op.bools((3,)), "value": op.uniform((1,))})
    op.raises({"input": op.uniform((3,)), "mask": op.bools((4,))}, value=0.0)

    op = file.op("where", broadcast_tolerance((2e-6, 1e-6)))
    for c, a, b in [
        ((), (), ()),
        ((7,), (7,), (7,)),
        ((3, 4), (3, 4), (3, 4)),
        ((3, 1), (1, 4), (2, 1, 1)),
        ((4,), (), ()),
        ((2, 1, 3), (3,), (4, 1)),
        ((2, 3), (), (3,)),
        ((0, 3), (1,), (3,)),
        ((), (2, 3), (3,)),
        ((2, 3, 4, 5), (3, 1, 1), (2, 3, 4, 5)),
        ((1,), (5,), ()),
        ((13,), (13,), (1,)),
        ((2, 1, 2, 1, 2, 1), (2, 1), (1, 2)),
    ]:
        op.case({"condition": op.bools(c), "input": op.uniform(a), "other": op.uniform(b)})
    # What is not selected does not leak, not even NaN.
    condition = np.array([True, False, True])
    op.case({"condition": condition, "input": np.float32([1, NAN, 2]), "other": np.float32([NAN, 3, INF])})
    op.case({"condition": op.bools((3,)), "input": op.index((3,), 9), "other": op.uniform((3,))})
    op.case({"condition": op.bools((3,)), "input": op.index((3,), 9), "other": op.index((), 9)})
    op.case({"condition": op.bools((3,)), "input": op.index((3,), 9), "other": op.bools((3,))})
    op.case({"condition": op.bools((3,)), "input": op.uniform((3,))}, other=2.5)
    op.case({"condition": op.bools((3,)), "input": op.index((3,), 9)}, other=2.5)
    op.raises({"condition": op.uniform((3,)), "input": op.uniform((3,)), "other": op.uniform((3,))})
    op.raises({"condition": op.bools((3,)), "input": op.uniform((4,)), "other": op.uniform((4,))})
    op.raises({"condition": op.bools((2, 3)), "input": op.uniform((2, 3)), "other": op.uniform((2, 2))})


FAMILIES = [
    pointwise_unary,
    pointwise_rounding,
    questions,
    pointwise_binary,
    extremes,
    comparisons,
    division,
    blends,
]
