"""Pointwise operations."""

import numpy as np

from harness import EXACT, INF, NAN, POINTWISE, SAME, STEEP, TRIG, sum_tolerance
from families.shape import shape


SHAPES = [(), (1,), (7,), (0,), (3, 5), (2, 1, 4), (2, 3, 4, 5), (263,)]


def pointwise_unary(file):
    def unary(name, low, high, tol=POINTWISE, signed=False):
        op = file.op(name, tol)
        for shape in SHAPES:
            op.case({"input": (op.signed if signed else op.uniform)(shape, low, high)})
        return op

    def special(op, values, **attrs):
        """A case of NaNs, infinities, poles or invalid arguments: values only."""
        op.case({"input": np.float32(values)}, grad=False, **attrs)

    op = unary("abs", -3, 3, EXACT)
    op.case({"input": np.float32([[0, 1, -1], [-2, 0, 3]])})  # gradient 0 at 0
    special(op, [NAN, INF, -INF])
    op = unary("neg", -3, 3, EXACT)
    special(op, [NAN, INF, -INF])
    op = unary("sign", -3, 3, EXACT)
    op.case({"input": np.float32([[0, 1, -1], [-2, 0, 3]])})
    special(op, [NAN, INF, -INF])  # sign(NaN) is 0

    op = unary("exp", -5, 5, STEEP)
    special(op, [NAN, INF, -INF, 100, -200])
    op = unary("expm1", -2, 3, STEEP)
    op.case({"input": op.signed((33,), 1e-6, 1e-3)}, tol=(1e-5, 1e-10))  # relative accuracy near 0
    special(op, [NAN, INF, -INF, 100, -200])
    op = unary("log", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary("log1p", -0.9, 5)
    op.case({"input": op.signed((33,), 1e-6, 1e-3)}, tol=(1e-5, 1e-10))  # relative accuracy near 0
    special(op, [NAN, INF, -INF, -1, -2])
    op = unary("log2", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary("sqrt", 0.1, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary("rsqrt", 0.1, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary("reciprocal", 0.2, 5, signed=True)
    special(op, [NAN, INF, -INF, 0])
    op = unary("square", -3, 3)
    special(op, [NAN, INF, -INF, 1e30])

    op = unary("sin", -6, 6, TRIG)
    op.case({"input": op.uniform((65,), -50, 50)}, tol=(1e-5, 1e-5))  # error of the argument reduction
    special(op, [NAN, INF, -INF])
    op = unary("cos", -6, 6, TRIG)
    op.case({"input": op.uniform((65,), -50, 50)}, tol=(1e-5, 1e-5))
    special(op, [NAN, INF, -INF])
    for name in ("asin", "acos"):
        op = unary(name, -0.9, 0.9, TRIG)
        op.case({"input": np.float32([-1, 1])}, grad=False)
        special(op, [NAN, 2, -2])
    op = unary("log10", 0.05, 10)
    special(op, [NAN, INF, -INF, 0, -1])
    op = unary("tan", -1.3, 1.3, STEEP)
    special(op, [NAN, INF, -INF])
    op = unary("atan", -4, 4)
    op.case({"input": op.signed((9,), 1e2, 1e6)})
    special(op, [NAN, INF, -INF])
    op = unary("sinh", -4, 4, STEEP)
    special(op, [NAN, INF, -INF, 100, -100])
    op = unary("cosh", -4, 4, STEEP)
    special(op, [NAN, INF, -INF, 100, -100])
    op = unary("erf", -3, 3)
    op.case({"input": np.float32([0, 5, -5, 20, -20])})
    special(op, [NAN, INF, -INF])

    for name in ("floor", "ceil", "round", "trunc"):  # their gradients are 0
        op = unary(name, -5, 5, EXACT)
        op.case({"input": np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])})  # round: to even
        op.case({"input": np.float32([-3, 0, 4, 8388609, -16777216, 1e20])})
        special(op, [NAN, INF, -INF])

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

    values = [NAN, INF, -INF, 0, -0.0, 1.5, -2, 1e30, 1e-30]
    for name in ("isnan", "isinf", "isfinite", "logical_not"):
        op = file.op(name, SAME)
        for shape in SHAPES:
            op.case({"input": np.asarray(op.rng.choice(values, shape), np.float32)})
        op.case({"input": np.float32(values)})
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
]


def broadcast_tolerance(base):
    """`base`, widened to that of the longest sum over broadcast dimensions in the gradients."""

    def tolerance(args, outputs):
        length = max(outputs[0].numel() // max(a.numel(), 1) for a in args.values())
        rtol, atol = sum_tolerance(length)
        return base if length <= 10 else (max(base[0], rtol), max(base[1], atol))

    return tolerance


def pointwise_binary(file):
    def mismatch(op, second="other"):
        op.raises({"input": op.uniform((3,)), second: op.uniform((4,))})
        op.raises({"input": op.uniform((2, 3, 4)), second: op.uniform((2, 1, 4, 1))})

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

    op = file.op("mul", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a, -2, 2), "other": op.uniform(b, -2, 2)})
    op.case({"input": op.uniform((3, 4))}, other=2.5)
    op.case({"input": op.uniform(())}, other=-3)
    op.case({"input": np.float32([0, INF, -INF, NAN]), "other": np.float32([INF, -INF, 2, 0])}, grad=False)
    mismatch(op)

    op = file.op("div", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.uniform(a, -2, 2), "other": op.signed(b, 0.5, 3)})
    op.case({"input": op.uniform((3, 4))}, other=2.5)
    op.case({"input": op.uniform(())}, other=-3)
    op.case({"input": np.float32([1, -1, 0, INF, 1]), "other": np.float32([0, 0, 0, INF, INF])}, grad=False)
    mismatch(op)

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

    for name in ("maximum", "minimum"):
        op = file.op(name, broadcast_tolerance((2e-6, 1e-6)))
        for a, b in PAIRS:
            op.case({"input": op.uniform(a), "other": op.uniform(b)})
        # Ties give half of the gradient to either side.
        op.case({"input": op.whole((5, 6), 0, 2), "other": op.whole((5, 6), 0, 2)})
        op.case({"input": op.whole((4, 1), 0, 1), "other": op.whole((3,), 0, 1)})
        op.case({"input": np.float32([NAN, 1, NAN, INF]), "other": np.float32([1, NAN, NAN, -INF])}, grad=False)
        mismatch(op)

    op = file.op("atan2", broadcast_tolerance(POINTWISE))
    for a, b in PAIRS:
        op.case({"input": op.signed(a, 0.3, 3), "other": op.signed(b, 0.3, 3)})
    op.case({"input": np.float32([0, 0, 1, -1]), "other": np.float32([1, -1, 0, 0])})
    op.case({"input": np.float32([0, INF, 1, 1, NAN]), "other": np.float32([0, 1, INF, -INF, 1])}, grad=False)
    mismatch(op)

    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        op = file.op(name, SAME)
        for a, b in PAIRS:
            op.case({"input": op.whole(a, -1, 1), "other": op.whole(b, -1, 1)})
        op.case({"input": op.whole((3, 4), 0, 5) / np.float32(2)}, other=1.5)
        op.case({"input": op.whole((), -1, 1)}, other=0)
        op.case({"input": np.float32([NAN, NAN, INF, INF, 1]), "other": np.float32([NAN, 1, INF, -INF, INF])})
        mismatch(op)

    for name in ("logical_and", "logical_or", "logical_xor"):
        op = file.op(name, SAME)
        for a, b in PAIRS:
            op.case({"input": op.bools(a), "other": op.bools(b)})
        op.case({"input": op.whole((4, 5), -1, 1), "other": op.whole((5,), -1, 1)})
        op.case({"input": np.float32([NAN, NAN, INF, 0.5]), "other": np.float32([NAN, 0, 0, -0.5])})  # NaN is true
        mismatch(op)

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
    ]:
        op.case({"condition": op.bools(c), "input": op.uniform(a), "other": op.uniform(b)})
    # What is not selected does not leak, not even NaN.
    condition = np.array([True, False, True])
    op.case({"condition": condition, "input": np.float32([1, NAN, 2]), "other": np.float32([NAN, 3, INF])})
    op.raises({"condition": op.bools((3,)), "input": op.uniform((4,)), "other": op.uniform((4,))})
    op.raises({"condition": op.bools((2, 3)), "input": op.uniform((2, 3)), "other": op.uniform((2, 2))})


FAMILIES = [pointwise_unary, pointwise_binary]
