"""Activations."""

import numpy as np

from harness import EXACT, NAN, POINTWISE
from families.pointwise import MORE_SHAPES, SHAPES
from families.shape import shape


def activations(file):
    def activation(name, low, high, tol=POINTWISE, attrs=({},)):
        op = file.op(name, tol)
        for attr in attrs:
            for shape in SHAPES + MORE_SHAPES if attr is attrs[0] else [(), (4, 9)]:
                op.case({"input": op.uniform(shape, low, high)}, **attr)
            # Zero (where PyTorch takes the left derivative of kinks) and saturation.
            op.case({"input": np.float32([0, 30, -30, 1e3, -1e3])}, **attr)
            op.case({"input": np.float32([NAN])}, grad=False, **attr)
        return op

    activation("relu", -2, 2, EXACT)
    activation("leaky_relu", -2, 2, attrs=({}, *({"negative_slope": slope} for slope in (0.2, 0.0, -0.5))))
    activation("elu", -3, 3, attrs=({}, {"alpha": 0.5}, {"alpha": 2.0}))
    activation("sigmoid", -6, 6)
    activation("tanh", -4, 4)
    activation("silu", -6, 6)
    activation("mish", -6, 6)
    activation(
        "softplus",
        -4,
        4,
        attrs=({}, {"beta": 2.0}, {"beta": 0.5, "threshold": 1.0}, {"beta": 2, "threshold": 5}),
    )
    activation("softsign", -4, 4)
    # 1 + erf and 1 + tanh cancel for negative arguments, and float32 erf is good to a few 1e-7.
    op = activation("gelu", -4, 4, (1e-5, 5e-6), attrs=({}, {"approximate": "none"}, {"approximate": "tanh"}))
    op.raises({"input": op.uniform((3,))}, approximate="sigmoid")


def activations_piecewise(file):
    def activation(name, attrs=({},), tol=(1e-5, 2e-6), ends=(0, 30, -30, 1e3, -1e3)):
        op = file.op(name, tol)
        for attr in attrs:
            for shape in SHAPES + MORE_SHAPES if attr is attrs[0] else [(), (4, 9)]:
                op.case({"input": op.uniform(shape, -4, 8)}, **attr)
            op.case({"input": np.float32(ends)}, **attr)
            op.case({"input": np.float32([NAN])}, grad=False, **attr)
        return op

    activation("relu6", ends=(0, 6, 7, 30, -30))
    op = activation("hardtanh", ({}, {"min_val": -2.0, "max_val": 0.5}), ends=(-1, 1, 0, 30, -30))
    op.raises({"input": op.uniform((3,))}, min_val=1.0, max_val=-1.0)
    activation("hardsigmoid")
    activation("hardswish")
    activation("selu")
    op = activation("celu", ({}, {"alpha": 0.5}, {"alpha": 2.0}))
    op.raises({"input": op.uniform((3,))}, alpha=0)
    activation("tanhshrink")
    activation("logsigmoid")
    op = activation("softshrink", ({}, {"lambd": 1.5}, {"lambd": 0}), ends=(0, 0.5, -0.5, 30, -30))
    op.raises({"input": op.uniform((3,))}, lambd=-1.0)
    activation("hardshrink", ({}, {"lambd": 1.5}, {"lambd": -1.0}), ends=(0, 0.5, -0.5, 30, -30))
    activation(
        "threshold", ({"threshold": 0.5, "value": -2.0}, {"threshold": -1, "value": 7}), ends=(0.5, -1, 30, -30)
    )

    op = file.op("prelu", (1e-5, 1e-5))
    for shape, weight in [
        ((7,), (1,)),
        ((3, 5), (5,)),
        ((3, 5), (1,)),
        ((3, 1), (1,)),
        ((2, 3, 4), (3,)),
        ((2, 3, 4, 5), (3,)),
        ((2, 3, 4), ()),
        ((0, 3), (3,)),
        ((), (1,)),
        ((), ()),
        ((13,), ()),
        ((2, 1, 5), (1,)),
        ((2, 5, 3, 1, 2), (5,)),
        ((2, 2, 2, 1, 2, 2), (2,)),
        ((7, 11), (11,)),
        ((1, 4), (4,)),
    ]:
        op.case({"input": op.uniform(shape, -2, 2), "weight": op.uniform(weight)})
    op.case({"input": np.float32([[0, 1], [-1, 0]]), "weight": np.float32([0.25, -0.5])})
    op.raises({"input": op.uniform((2, 3)), "weight": op.uniform((2,))})
    op.raises({"input": op.uniform((2, 3)), "weight": op.uniform((3, 1))})
    op.raises({"input": op.uniform((3,)), "weight": op.uniform((3,))})

    op = file.op("glu")
    for shape, attrs in [
        ((6,), {}),
        ((3, 4), {}),
        ((4, 3), {"dim": 0}),
        ((2, 4, 3), {"dim": 1}),
        ((2, 3, 4, 6), {}),
        ((2, 3, 4, 6), {"dim": -4}),
        ((2, 3, 4, 5), {"dim": -2}),
        ((0, 4), {}),
        ((2,), {}),
        ((10, 1), {"dim": 0}),
        ((3, 22), {"dim": 1}),
        ((2, 1, 2), {"dim": -3}),
        ((2, 3, 1, 4, 2), {"dim": 3}),
        ((1, 2, 1, 2, 1, 2), {"dim": 1}),
        ((4, 0), {"dim": 0}),
        ((6, 6), {"dim": -2}),
        ((5, 2, 5), {"dim": 1}),
    ]:
        op.case({"input": op.uniform(shape, -3, 3)}, **attrs)
    op.raises({"input": op.uniform((3, 5))})
    op.raises({"input": op.uniform((4,))}, dim=1)
    op.raises({"input": op.uniform(())})


FAMILIES = [activations, activations_piecewise]
