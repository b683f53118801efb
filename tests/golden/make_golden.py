"""Makes wgrad's golden test values: one conformance case file per family of operations.

    python -m venv venv && venv/bin/pip install torch numpy safetensors
    venv/bin/python make_golden.py [OUTDIR]

The files are written to OUTDIR (this script's folder by default), then read back and checked. CPU PyTorch is
enough, and a run takes a few seconds.

Inputs and cotangents are random float32 values (or chosen ones, to hit ties and special values). Outputs and
gradients are computed from them by PyTorch in float64 and stored as float32, so an expected value is off by half
a unit in the last place at most and the tolerances only have to cover the float32 arithmetic of the
implementation under test. Each operation draws from its own generator, seeded by its name: changing the cases of
one operation leaves the values of the others alone.

The check at the end runs every case again in float32 from the stored file and wants the error to stay below a
third of the stored tolerance; it also makes sure that the `raises` cases raise.
"""

import json
import math
import sys
import warnings
import zlib
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file

# Tolerances (rtol, atol).
SAME = (0.0, 0.0)  # bools, indices: must be equal
EXACT = (1e-6, 1e-7)  # a selection, a sign change, a rounding: at most one float32 rounding
POINTWISE = (1e-5, 1e-6)  # a few roundings
TRIG = (1e-5, 2e-6)  # hardware sine and cosine have an absolute error, about 2^-20 in the first periods
STEEP = (2e-5, 2e-6)  # condition number above one: tan, pow, exp-like functions of large arguments

NAN, INF = math.nan, math.inf


def sum_tolerance(length):
    """The tolerance for float32 sums of `length` random terms of size one at most.

    Rounding errors of a sequential sum grow to about 2.5e-8 * length (root mean square); four times that covers
    the worst of many elements. The cap at 1e-4 is reached at 1000 terms.
    """
    return (2e-5, float(np.clip(1e-7 * length, 1e-5, 1e-4).round(7)))


def norm(input, p=2, dim=None, keepdim=False):
    """`torch.norm` with infinite orders as strings, since JSON has no infinities."""
    return torch.norm(input, float(p), dim, keepdim)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    """As `torchvision.ops.sigmoid_focal_loss`."""
    p = torch.sigmoid(inputs)
    ce_loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce_loss * ((1 - p_t) ** gamma)
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def dice_loss(input, target, smooth=1.0, reduction="mean"):
    """Milletari et al. 2016, for each sample and class."""
    places = tuple(range(2, input.dim()))
    both, either = (input * target).sum(places), input.sum(places) + target.sum(places)
    loss = 1 - (2 * both + smooth) / (either + smooth)
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


# Functions that PyTorch itself does not have, or not in a form that a case file can hold.
OWN = {"norm": norm, "sigmoid_focal_loss": sigmoid_focal_loss, "dice_loss": dice_loss}


def torch_function(op):
    if op == "batch_norm":  # whose running statistics may be None and have no default
        return partial(F.batch_norm, running_mean=None, running_var=None)
    return OWN.get(op) or getattr(F, op, None) or getattr(torch, op)


def call(op, args, attrs):
    """Calls PyTorch and returns the outputs as a list. Arguments `NAME.0`, `NAME.1`, .. are the list `NAME`."""
    grouped = {}
    for key, value in args.items():
        name, element, _ = key.partition(".")
        if element:
            grouped.setdefault(name, []).append(value)
        else:
            grouped[name] = value
    result = torch_function(op)(**grouped, **attrs)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def run_case(op, args, attrs, cotangents, differentiable, dtype):
    """Outputs, and gradients by argument name, of a call whose float32 tensors are converted to `dtype`."""
    args = {k: v.to(dtype) if v.dtype == torch.float32 else v for k, v in args.items()}
    for name in differentiable:
        args[name].requires_grad_()
    outputs = call(op, args, attrs)
    if not differentiable:
        return outputs, {}
    pairs = [(outputs[i], c.to(dtype)) for i, c in cotangents.items()]
    inputs = [args[name] for name in differentiable]
    grads = torch.autograd.grad([o for o, _ in pairs], inputs, [c for _, c in pairs], allow_unused=True)
    grads = [torch.zeros_like(x) if g is None else g for x, g in zip(inputs, grads)]
    return [o.detach() for o in outputs], dict(zip(differentiable, grads))


def flat(args):
    """Tensors by name, with element I of a list NAME as `NAME.I`."""
    tensors = {}
    for key, value in args.items():
        if isinstance(value, list):
            tensors.update({f"{key}.{i}": element for i, element in enumerate(value)})
        else:
            tensors[key] = value
    return {k: torch.from_numpy(np.array(v, order="C")) for k, v in tensors.items()}


def listed(args):
    """The names of `flat` arguments in a case: a list of N is `NAME[N]`."""
    counts = Counter(key.partition(".")[0] for key in args)
    is_list = {key.partition(".")[0] for key in args if "." in key}
    return [f"{name}[{count}]" if name in is_list else name for name, count in counts.items()]


def unlisted(names):
    """The `flat` names behind the names in a case."""
    keys = []
    for name in names:
        head, bracket, count = name.rstrip("]").partition("[")
        keys += [f"{head}.{i}" for i in range(int(count))] if bracket else [name]
    return keys


def to_stored(tensor):
    return (tensor.float() if tensor.is_floating_point() else tensor).contiguous().clone()


class File:
    """A case file in the making."""

    def __init__(self, name):
        self.name = name
        self.cases = []
        self.tensors = {}

    def op(self, op, tol=POINTWISE):
        return Op(self, op, tol)

    def save(self, folder):
        save_file(self.tensors, folder / f"{self.name}.safetensors", {"cases": json.dumps(self.cases)})


class Op:
    """The cases of one operation, and its random values."""

    def __init__(self, file, op, tol):
        self.file, self.name, self.tol = file, op, tol
        self.rng = np.random.default_rng(zlib.crc32(op.encode()))
        self.count = 0

    # Values. All of them are float32 unless said otherwise.

    def uniform(self, shape, low=-1.0, high=1.0):
        return np.asarray(self.rng.uniform(low, high, shape), np.float32)

    def signed(self, shape, low, high):
        """Values whose magnitude is between `low` and `high`, of either sign."""
        sign = np.where(self.rng.random(shape) < 0.5, -1, 1)
        return np.asarray(self.rng.uniform(low, high, shape) * sign, np.float32)

    def whole(self, shape, low, high):
        """Whole numbers from `low` to `high`, both included: they make ties."""
        return np.asarray(self.rng.integers(low, high + 1, shape), np.float32)

    def exact(self, shape):
        """Multiples of 1/64 in [-1, 1]: float32 sums of up to 2^18 of them are exact in any order."""
        return self.whole(shape, -64, 64) / np.float32(64)

    def index(self, shape, size):
        """int64 values from 0 to `size` - 1."""
        return np.asarray(self.rng.integers(0, size, shape), np.int64)

    def bools(self, shape):
        return np.asarray(self.rng.random(shape) < 0.5)

    # Cases.

    def case(self, args, *, tol=None, grad=True, constant=(), **attrs):
        """Adds a case.

        `tol` is a pair or a function from (args, outputs) to one. With `grad`, the gradients of all float32
        arguments but those named in `constant` are stored, provided that an output is differentiable.
        """
        args = flat(args)
        outputs = call(self.name, args, attrs)
        cotangents, differentiable = {}, []
        if grad:
            differentiable = [k for k, v in args.items() if v.dtype == torch.float32 and k not in constant]
            cotangents = {
                i: torch.from_numpy(self.uniform(tuple(o.shape)))
                for i, o in enumerate(outputs)
                if o.is_floating_point()
            }
        grad = bool(differentiable and cotangents)
        if not grad:
            cotangents, differentiable = {}, []
        tol = tol or self.tol
        rtol, atol = tol(args, outputs) if callable(tol) else tol

        outputs, grads = run_case(self.name, args, attrs, cotangents, differentiable, torch.float64)
        name = self._add(args, attrs, len(outputs), grad, rtol, atol, raises=False)
        store = self.file.tensors
        store.update({f"{name}.out.{i}": to_stored(o) for i, o in enumerate(outputs)})
        store.update({f"{name}.cot.{i}": c for i, c in cotangents.items()})
        store.update({f"{name}.grad.{k}": to_stored(g) for k, g in grads.items()})

    def raises(self, args, **attrs):
        """Adds a case of a call that is an error."""
        args = flat(args)
        self._add(args, attrs, 0, False, 0.0, 0.0, raises=True)

    def _add(self, args, attrs, outputs, grad, rtol, atol, raises):
        name = f"{self.name}.{self.count}"
        self.count += 1
        self.file.cases.append(
            {
                "name": name,
                "op": self.name,
                "args": listed(args),
                "attrs": attrs,
                "outputs": outputs,
                "grad": grad,
                "rtol": rtol,
                "atol": atol,
                "raises": raises,
            }
        )
        self.file.tensors.update({f"{name}.arg.{k}": v for k, v in args.items()})
        return name


# Pointwise operations of one tensor.

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


# Pointwise operations of two or three tensors.

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


def activations(file):
    def activation(name, low, high, tol=POINTWISE, attrs=({},)):
        op = file.op(name, tol)
        for attr in attrs:
            for shape in SHAPES if attr is attrs[0] else [(), (4, 9)]:
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
            for shape in SHAPES if attr is attrs[0] else [(), (4, 9)]:
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
    activation("threshold", ({"threshold": 0.5, "value": -2.0}, {"threshold": -1, "value": 7}), ends=(0.5, -1, 30, -30))

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
    ]:
        op.case({"input": op.uniform(shape, -3, 3)}, **attrs)
    op.raises({"input": op.uniform((3, 5))})
    op.raises({"input": op.uniform((4,))}, dim=1)
    op.raises({"input": op.uniform(())})


# Reductions.


def reductions(file):
    grid = [  # (shape, attrs)
        ((), {}),
        ((), {"dim": 0}),
        ((), {"dim": -1, "keepdim": True}),
        ((7,), {}),
        ((7,), {"dim": 0, "keepdim": False}),
        ((3, 5), {"dim": 1}),
        ((3, 5), {"dim": 0, "keepdim": True}),
        ((2, 3, 4), {"dim": -2}),
        ((2, 1, 4), {"dim": 1}),
        ((2, 3, 4, 5), {"dim": 2, "keepdim": True}),
        ((3, 0, 2), {"dim": 0}),
        ((3, 0, 2), {"dim": -1, "keepdim": True}),
        ((2, 3, 4, 5), {}),
        ((67, 13), {"dim": 0}),
        ((13, 67), {"dim": 1}),
    ]
    lists = [  # (shape, attrs), where a list of dimensions is allowed
        ((2, 3, 4), {"dim": [0, 2]}),
        ((2, 3, 4), {"dim": [-1, 0], "keepdim": True}),
        ((2, 3, 4), {"dim": [1]}),
        ((2, 3, 4), {"dim": [0, 1, 2]}),
        ((2, 3, 4), {"dim": [0, 1, 2], "keepdim": True}),
        ((2, 3, 4), {"dim": []}),  # all dimensions
        ((2, 3, 4, 5), {"dim": [0, 2, 3]}),
        ((2, 3, 4, 5), {"dim": [-2, -1], "keepdim": True}),
        ((), {"dim": []}),
    ]
    nones = [((2, 3), {"dim": None}), ((2, 3), {"dim": None, "keepdim": True}), ((), {"dim": None, "keepdim": True})]

    def bad_dims(op, listed):
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform(())}, dim=1)
        if listed:
            op.raises({"input": op.uniform((2, 3))}, dim=[0, 5])
            op.raises({"input": op.uniform((2, 3))}, dim=[0, 0])
            op.raises({"input": op.uniform((2, 3))}, dim=[1, -1])

    def reduced(args, outputs):
        return sum_tolerance(args["input"].numel() / max(outputs[0].numel(), 1))

    for name in ("sum", "mean"):
        op = file.op(name, reduced)
        for shape, attrs in grid + lists + nones:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.exact((5003,))}, tol=POINTWISE)  # exact sums: no allowance for the length
        op.case({"input": op.exact((3, 1031))}, tol=POINTWISE, dim=-1)
        op.case({"input": op.exact((1031, 3))}, tol=POINTWISE, dim=0)
        op.case({"input": op.uniform((0,))})  # sum 0, mean NaN
        op.case({"input": op.uniform((3, 0))}, dim=1)
        op.case({"input": np.float32([[1, NAN], [INF, 2], [INF, -INF]])}, grad=False, dim=1)
        bad_dims(op, listed=True)

    for name in ("amax", "amin"):
        op = file.op(name, EXACT)
        for shape, attrs in grid + lists:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # Ties share the gradient evenly.
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, 1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=[0, 2])
        op.case({"input": op.whole((4, 5), 0, 2)})
        op.case({"input": np.float32([[1, NAN], [INF, 2], [-INF, -INF]])}, grad=False, dim=1)
        bad_dims(op, listed=True)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)

    for name in ("max", "min"):
        op = file.op(name, EXACT)
        for shape, attrs in grid:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # Ties share the gradient evenly in the full reduction; along a dimension the first one takes it all.
        op.case({"input": np.float32([[1, 3, 3], [1, 2, 2], [1, 3, 1]])})
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, -1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=1, keepdim=True)
        op.case({"input": np.float32([[1, NAN, NAN], [INF, 2, INF], [-INF, -INF, -INF]])}, grad=False, dim=1)
        op.case({"input": np.float32([[1, NAN], [INF, 2]])}, grad=False)
        bad_dims(op, listed=False)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)

    for name in ("argmax", "argmin"):
        op = file.op(name, SAME)
        for shape, attrs in grid + nones:
            op.case({"input": op.uniform(shape)}, **attrs)
        op.case({"input": op.uniform((2053,))})
        # The first of ties, the first NaN.
        op.case({"input": np.float32([[1, 3, 3], [2, 2, 2], [-1, 0, -1]])}, dim=1)
        op.case({"input": op.whole((4, 5, 3), 0, 2)}, dim=0, keepdim=True)
        op.case({"input": op.whole((400,), 0, 2)})
        op.case({"input": np.float32([[1, NAN, NAN], [INF, 2, INF], [-INF, -INF, -INF]])}, dim=1)
        bad_dims(op, listed=False)
        op.raises({"input": op.uniform((0,))})
        op.raises({"input": op.uniform((3, 0))}, dim=1)


def matmul(file):
    def tolerance(args, outputs):
        a, b = args["input"], args["other"]
        k = a.shape[-1]
        if 0 in (a.numel(), b.numel(), outputs[0].numel()):
            return sum_tolerance(1)
        longest = max(k, outputs[0].numel() * k // a.numel(), outputs[0].numel() * k // b.numel())
        return sum_tolerance(longest)

    op = file.op("matmul", tolerance)
    for a, b in [
        ((5,), (5,)),  # vectors
        ((1,), (1,)),
        ((257,), (257,)),
        ((5,), (5, 3)),
        ((7,), (2, 7, 3)),
        ((4, 6), (6,)),
        ((3, 4, 6), (6,)),
        ((2, 3, 4, 6), (6,)),
        ((2, 3), (3, 4)),  # matrices
        ((1, 1), (1, 1)),
        ((1, 7), (7, 1)),
        ((7, 1), (1, 5)),
        ((13, 17), (17, 11)),
        ((16, 16), (16, 16)),
        ((31, 37), (37, 29)),
        ((64, 32), (32, 64)),
        ((65, 70), (70, 33)),
        ((3, 4, 5), (3, 5, 2)),  # batches
        ((3, 4, 5), (5, 2)),
        ((4, 5), (3, 5, 2)),
        ((1, 4, 5), (3, 5, 2)),
        ((3, 4, 5), (1, 5, 2)),
        ((2, 1, 4, 5), (3, 5, 2)),
        ((2, 1, 4, 3), (1, 3, 3, 5)),
        ((5, 17, 19), (5, 19, 23)),
        ((0, 4, 5), (0, 5, 2)),  # nothing in the batch
        ((0, 4, 5), (5, 2)),
        ((0, 3), (3, 4)),  # no rows
        ((3, 0), (0, 4)),  # sums of no terms
        ((2, 3, 0), (2, 0, 4)),
        ((0,), (0,)),
    ]:
        op.case({"input": op.uniform(a), "other": op.uniform(b)})
    for a, b in [
        ((4,), (5,)),
        ((2, 3), (4, 5)),
        ((3,), (4, 3)),
        ((2, 3), (2,)),
        ((2, 3, 4), (3, 4, 5)),
        ((2, 3, 4), (2, 5, 4)),
        ((), (3,)),
        ((2, 3), ()),
    ]:
        op.raises({"input": op.uniform(a), "other": op.uniform(b)})


# Convolution and pooling.


def conv2d(file):
    def tolerance(args, outputs):
        x, w, y = args["input"], args["weight"], outputs[0]
        per_output = w[0].numel()
        per_input = w.shape[0] * w[0, 0].numel()
        per_weight = y.numel() // y.shape[-3]  # batch * height * width
        return sum_tolerance(max(per_output, per_input, per_weight))

    op = file.op("conv2d", tolerance)

    def args(x, w, bias):
        named = {"input": op.uniform(x), "weight": op.uniform(w, -0.5, 0.5)}
        return named | ({"bias": op.uniform(w[:1])} if bias else {})

    for x, w, bias, attrs in [
        ((2, 3, 5, 7), (4, 3, 3, 3), True, {}),
        ((2, 3, 5, 7), (4, 3, 3, 3), False, {}),
        ((1, 1, 1, 1), (1, 1, 1, 1), True, {}),
        ((1, 1, 4, 4), (1, 1, 2, 2), False, {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
        # stride
        ((2, 3, 8, 9), (4, 3, 3, 3), True, {"stride": 2}),
        ((2, 3, 8, 9), (4, 3, 3, 3), False, {"stride": [2, 1]}),
        ((2, 2, 11, 13), (3, 2, 2, 3), True, {"stride": [3, 5]}),
        ((1, 2, 9, 9), (2, 2, 2, 2), True, {"stride": 4}),  # stride beyond the kernel, uncovered rows
        # padding
        ((2, 3, 5, 7), (4, 3, 3, 3), True, {"padding": 1}),
        ((2, 3, 5, 7), (4, 3, 3, 3), True, {"padding": [0, 2]}),
        ((1, 2, 3, 3), (3, 2, 3, 3), False, {"padding": 4}),  # outputs that see padding only
        ((1, 2, 1, 1), (3, 2, 3, 3), True, {"padding": [1, 1]}),
        ((2, 3, 7, 5), (4, 3, 5, 3), True, {"stride": [2, 1], "padding": [2, 1]}),
        ((2, 3, 6, 7), (4, 3, 3, 3), True, {"padding": "valid"}),
        ((2, 3, 6, 7), (4, 3, 3, 3), True, {"padding": "valid", "stride": [1, 2], "dilation": 2}),
        ((2, 3, 6, 7), (4, 3, 3, 3), True, {"padding": "same"}),
        ((2, 3, 6, 7), (4, 3, 2, 4), True, {"padding": "same"}),  # even kernel: more padding at the end
        ((2, 3, 6, 7), (4, 3, 2, 3), False, {"padding": "same", "dilation": [3, 2]}),
        ((1, 4, 5, 6), (4, 2, 3, 4), True, {"padding": "same", "dilation": [2, 1], "groups": 2}),
        # dilation
        ((2, 3, 9, 9), (4, 3, 3, 3), True, {"dilation": 2}),
        ((2, 3, 9, 11), (2, 3, 3, 3), False, {"dilation": [1, 3], "padding": [1, 3]}),
        ((1, 3, 11, 13), (2, 3, 2, 3), True, {"dilation": [3, 2], "stride": [2, 3], "padding": [3, 1]}),
        # groups
        ((2, 4, 6, 5), (6, 2, 3, 3), True, {"groups": 2}),
        ((2, 6, 7, 7), (9, 2, 3, 2), False, {"groups": 3, "stride": 2, "padding": 1}),
        ((1, 8, 7, 6), (4, 2, 3, 3), True, {"groups": 4, "stride": [2, 1], "padding": [1, 0]}),
        ((2, 4, 6, 6), (8, 2, 1, 1), True, {"groups": 2, "stride": 2}),
        ((2, 5, 7, 7), (5, 1, 3, 3), True, {"groups": 5, "padding": 1}),  # depthwise
        ((2, 4, 7, 6), (8, 1, 3, 3), True, {"groups": 4, "padding": 1}),  # depthwise, multiplier 2
        ((1, 3, 9, 9), (6, 1, 5, 3), False, {"groups": 3, "stride": [2, 2], "padding": [2, 1]}),
        ((1, 3, 10, 9), (3, 1, 3, 3), True, {"groups": 3, "dilation": 2, "stride": [1, 2], "padding": 2}),
        # kernels of size 1, and as large as the input
        ((2, 5, 4, 3), (7, 5, 1, 1), True, {}),
        ((2, 5, 7, 7), (3, 5, 1, 1), False, {"stride": 3}),
        ((1, 3, 4, 4), (2, 3, 1, 1), True, {"padding": 1}),
        ((2, 3, 5, 7), (4, 3, 5, 7), True, {}),
        ((2, 3, 3, 4), (4, 3, 5, 6), True, {"padding": 1}),
        ((2, 3, 6, 7), (2, 3, 1, 5), True, {"padding": [0, 2]}),
        ((2, 3, 7, 6), (2, 3, 5, 1), True, {"padding": [2, 0]}),
        # unbatched
        ((3, 5, 7), (4, 3, 3, 3), True, {}),
        ((3, 5, 7), (4, 3, 3, 3), False, {"stride": 2, "padding": 1}),
        ((4, 6, 6), (4, 1, 3, 3), True, {"groups": 4, "padding": "same"}),
        # nothing in the batch
        ((0, 3, 5, 7), (4, 3, 3, 3), True, {}),
        ((0, 4, 6, 6), (4, 2, 3, 3), False, {"stride": 2, "padding": 1, "groups": 2}),
        # layers of real networks, and primes
        ((2, 1, 28, 28), (6, 1, 5, 5), True, {"padding": 2}),
        ((2, 6, 14, 14), (16, 6, 5, 5), True, {}),
        ((2, 16, 5, 5), (30, 16, 5, 5), True, {}),
        ((1, 16, 8, 8), (24, 16, 3, 3), False, {"stride": 2, "padding": 1}),
        ((1, 3, 32, 32), (8, 3, 7, 7), False, {"stride": 2, "padding": 3}),
        ((1, 5, 17, 19), (7, 5, 3, 5), True, {"stride": [2, 3], "padding": [1, 2]}),
        ((3, 7, 11, 13), (11, 7, 3, 3), True, {"padding": 1}),
    ]:
        op.case(args(x, w, bias), **attrs)

    for x, w, bias, attrs in [
        ((1, 3, 5, 5), (2, 4, 3, 3), True, {}),  # channels
        ((1, 4, 5, 5), (2, 4, 3, 3), True, {"groups": 2}),
        ((1, 4, 5, 5), (3, 2, 3, 3), False, {"groups": 2}),  # groups do not divide the outputs
        ((1, 5, 5, 5), (4, 2, 3, 3), False, {"groups": 2}),  # nor the inputs
        ((1, 4, 5, 5), (4, 4, 3, 3), False, {"groups": 0}),
        ((1, 3, 4, 5), (2, 3, 5, 3), True, {}),  # kernel larger than the padded input
        ((1, 3, 4, 5), (2, 3, 3, 4), True, {"dilation": 2}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"stride": 0}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"stride": [1, 0]}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"dilation": 0}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"padding": -1}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"padding": "same", "stride": 2}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"padding": "full"}),
        ((1, 3, 5, 5), (2, 3, 3, 3), True, {"stride": [1, 1, 1]}),
        ((5, 5), (2, 3, 3, 3), True, {}),  # ranks
        ((1, 1, 3, 5, 5), (2, 3, 3, 3), True, {}),
        ((1, 3, 5, 5), (2, 3, 3), True, {}),
    ]:
        op.raises(args(x, w, bias), **attrs)
    op.raises(args((1, 3, 5, 5), (2, 3, 3, 3), False) | {"bias": op.uniform((3,))})


def conv_transpose2d(file):
    def tolerance(args, outputs):
        x, w, y = args["input"], args["weight"], outputs[0]
        return sum_tolerance(max(w[:, 0].numel(), w[0].numel() * 4, y.numel() // y.shape[-3]))

    op = file.op("conv_transpose2d", tolerance)

    def args(x, w, bias, groups=1):
        named = {"input": op.uniform(x), "weight": op.uniform(w, -0.5, 0.5)}
        return named | ({"bias": op.uniform((w[1] * groups,))} if bias else {})

    for x, w, attrs in [
        ((2, 3, 5, 7), (3, 4, 3, 3), {}),
        ((1, 1, 1, 1), (1, 1, 1, 1), {}),
        ((1, 1, 1, 1), (1, 2, 5, 3), {"stride": 3}),
        ((2, 3, 4, 5), (3, 2, 3, 3), {"stride": 2}),
        ((2, 3, 4, 5), (3, 2, 2, 3), {"stride": [3, 1]}),
        ((2, 3, 4, 5), (3, 2, 2, 2), {"stride": [4, 3]}),  # gaps between the taps
        ((2, 3, 5, 7), (3, 4, 3, 3), {"padding": 1}),
        ((2, 3, 5, 7), (3, 4, 4, 5), {"padding": [2, 3], "stride": [1, 2]}),
        ((2, 2, 4, 5), (2, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((2, 2, 4, 5), (2, 3, 3, 3), {"stride": [2, 3], "output_padding": [1, 2]}),
        ((1, 2, 3, 3), (2, 3, 2, 2), {"dilation": [3, 2], "output_padding": [2, 1]}),
        ((1, 2, 5, 4), (2, 3, 3, 2), {"dilation": 2}),
        ((2, 4, 5, 3), (4, 3, 3, 3), {"groups": 2}),
        ((2, 4, 5, 3), (4, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1}),
        ((2, 5, 5, 5), (5, 1, 3, 3), {"groups": 5, "padding": 1}),
        ((2, 3, 5, 5), (3, 2, 3, 3), {"groups": 3}),
        ((3, 7, 11), (3, 5, 3, 3), {"stride": 2}),  # no batch
        ((0, 3, 4, 4), (3, 2, 3, 3), {}),
        ((1, 13, 7, 5), (13, 11, 1, 1), {}),
        ((1, 2, 13, 17), (2, 3, 5, 3), {"stride": [1, 2], "padding": [2, 1], "dilation": [1, 2]}),
    ]:
        op.case(args(x, w, True, attrs.get("groups", 1)), **attrs)
        op.case(args(x, w, False), **attrs)
    op.raises(args((2, 3, 4, 4), (4, 2, 3, 3), False))
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), groups=2)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), output_padding=1)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), padding=4)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), stride=0)
    op.raises({"input": op.uniform((2, 3, 4, 4)), "weight": op.uniform((3, 2, 3, 3)), "bias": op.uniform((3,))})


def pool2d(file):
    op = file.op("max_pool2d", (2e-6, 2e-6))  # gradients of overlapping windows add up
    for shape, attrs in [
        ((2, 3, 6, 8), {"kernel_size": 2}),
        ((2, 3, 7, 9), {"kernel_size": 2}),  # the last row and column are dropped
        ((2, 3, 7, 9), {"kernel_size": 2, "return_indices": True}),
        ((1, 1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2]}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2], "stride": [1, 2], "return_indices": True}),
        ((2, 3, 6, 8), {"kernel_size": 3, "stride": 1}),  # overlapping
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1]}),
        ((2, 2, 6, 7), {"kernel_size": 4, "stride": 3, "padding": [2, 0], "return_indices": True}),
        ((1, 2, 9, 9), {"kernel_size": 2, "stride": 4}),  # gaps
        ((1, 2, 9, 9), {"kernel_size": 3, "dilation": 2}),
        ((1, 2, 9, 8), {"kernel_size": 3, "stride": 1, "dilation": [1, 2], "return_indices": True}),
        ((1, 2, 9, 8), {"kernel_size": [3, 2], "stride": 2, "padding": 1, "dilation": [2, 3], "return_indices": True}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 8, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
        # A last window that would begin in the padding at the end is dropped.
        ((1, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True, "return_indices": True}),
        ((1, 1, 4, 5), {"kernel_size": 1, "stride": 2, "ceil_mode": True}),
        ((1, 2, 8, 10), {"kernel_size": 2, "stride": 2, "dilation": 3, "ceil_mode": True, "return_indices": True}),
        ((3, 6, 8), {"kernel_size": 2}),  # unbatched
        ((3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}),
        ((2, 3, 5, 7), {"kernel_size": [5, 7]}),  # one window
        ((0, 3, 6, 6), {"kernel_size": 2}),  # nothing in the batch
        ((0, 3, 6, 6), {"kernel_size": 3, "stride": 2, "padding": 1, "return_indices": True}),
        ((2, 3, 6, 6), {"kernel_size": [2], "stride": [1], "padding": [1], "dilation": [2]}),
        ((2, 3, 6, 6), {"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1}),
        ((2, 3, 6, 6), {"kernel_size": 3, "stride": 2, "ceil_mode": False, "return_indices": False}),
        ((1, 3, 28, 28), {"kernel_size": 2, "stride": 2}),
        ((1, 4, 17, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    # Of ties the first, in the order of rows, takes the gradient.
    op.case({"input": op.whole((2, 3, 7, 8), 0, 2)}, kernel_size=2, return_indices=True)
    op.case({"input": op.whole((2, 3, 7, 8), 0, 1)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    op.case({"input": np.zeros((1, 2, 5, 5), np.float32)}, kernel_size=3, stride=2, padding=1, return_indices=True)
    # Padding is never the maximum.
    op.case({"input": op.uniform((1, 2, 4, 4), -3, -2)}, kernel_size=3, stride=1, padding=1, return_indices=True)
    # NaN wins; a window of nothing but -inf yields the index of its first element inside the input.
    special = op.uniform((1, 1, 5, 5))
    special[0, 0, 1, 1] = special[0, 0, 3, 4] = NAN
    special[0, 0, 2, 2] = INF
    op.case({"input": special}, grad=False, kernel_size=2, stride=1, return_indices=True)
    lowest = np.full((1, 1, 4, 4), -INF, np.float32)
    op.case({"input": lowest}, grad=False, kernel_size=3, stride=2, padding=1, return_indices=True)
    for shape, attrs in [
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": 2}),  # more than half of the kernel
        ((1, 1, 6, 6), {"kernel_size": [4, 3], "padding": [2, 2]}),
        ((1, 1, 6, 6), {"kernel_size": 3, "padding": 2, "dilation": 2}),  # of the kernel without its dilation
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6, 6), {"kernel_size": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "dilation": 0}),
        ((1, 1, 4, 6), {"kernel_size": 5}),  # no output
        ((1, 1, 4, 6), {"kernel_size": 3, "dilation": 2}),
        ((1, 1, 6, 6), {"kernel_size": [2, 2, 2]}),
        ((6, 6), {"kernel_size": 2}),
        ((1, 1, 1, 6, 6), {"kernel_size": 2}),
        ((1, 0, 6, 6), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)

    op = file.op("avg_pool2d", POINTWISE)
    for shape, attrs in [
        ((2, 3, 6, 8), {"kernel_size": 2}),
        ((2, 3, 7, 9), {"kernel_size": 2}),
        ((1, 1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2]}),
        ((2, 3, 6, 8), {"kernel_size": [3, 2], "stride": [1, 2]}),
        ((2, 3, 6, 8), {"kernel_size": 3, "stride": 1}),
        ((1, 2, 9, 9), {"kernel_size": 2, "stride": 4}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1]}),
        ((2, 2, 6, 7), {"kernel_size": [4, 3], "stride": [2, 1], "padding": [2, 1], "count_include_pad": False}),
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True}),  # what is beyond the padding does not count
        ((2, 3, 7, 9), {"kernel_size": 2, "ceil_mode": True, "count_include_pad": False}),
        ((2, 3, 8, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
        ((1, 2, 5, 5), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
        ((1, 2, 8, 9), {"kernel_size": [4, 5], "stride": [3, 3], "padding": [2, 1], "ceil_mode": True}),
        ((2, 3, 6, 8), {"kernel_size": 2, "divisor_override": 3}),
        ((2, 3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 1}),
        ((2, 3, 8, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 5}),
        ((2, 3, 5, 7), {"kernel_size": 3, "padding": 1, "count_include_pad": False, "divisor_override": 5}),
        ((1, 2, 6, 6), {"kernel_size": 2, "stride": 1, "divisor_override": -2}),
        ((3, 6, 8), {"kernel_size": 2}),  # unbatched
        ((3, 7, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
        ((2, 3, 5, 7), {"kernel_size": [5, 7]}),
        ((0, 3, 6, 6), {"kernel_size": 2}),
        ((2, 3, 6, 6), {"kernel_size": [3], "stride": [1], "padding": [1]}),
        ((2, 3, 6, 6), {"kernel_size": 2, "stride": None, "padding": 0, "divisor_override": None}),
        ((2, 3, 6, 6), {"kernel_size": 3, "stride": 2, "ceil_mode": False, "count_include_pad": True}),
        ((1, 3, 28, 28), {"kernel_size": 2, "stride": 2}),
        ((1, 4, 17, 19), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ]:
        op.case({"input": op.uniform(shape)}, **attrs)
    for shape, attrs in [
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": 2}),
        ((1, 1, 6, 6), {"kernel_size": [4, 3], "padding": [2, 2]}),
        ((1, 1, 6, 6), {"kernel_size": 2, "padding": -1}),
        ((1, 1, 6, 6), {"kernel_size": 0}),
        ((1, 1, 6, 6), {"kernel_size": 2, "stride": 0}),
        ((1, 1, 4, 6), {"kernel_size": 5}),
        ((1, 1, 6, 6), {"kernel_size": 2, "divisor_override": 0}),
        ((1, 1, 6, 6), {"kernel_size": [2, 2, 2]}),
        ((6, 6), {"kernel_size": 2}),
        ((1, 1, 1, 6, 6), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(shape)}, **attrs)


# Softmax, gather, cross entropy.


def softmax(file):
    for name in ("softmax", "log_softmax"):
        op = file.op(name, POINTWISE)
        for shape, dim in [
            ((), 0),
            ((), -1),
            ((7,), 0),
            ((1,), -1),
            ((3, 5), 0),
            ((3, 5), 1),
            ((3, 1), 1),
            ((2, 3, 4), 0),
            ((2, 3, 4), 1),
            ((2, 3, 4), -1),
            ((2, 3, 4, 5), 0),
            ((2, 3, 4, 5), 1),
            ((2, 3, 4, 5), 2),
            ((2, 3, 4, 5), -1),
            ((2, 0, 3), 2),
            ((2, 0, 3), 1),
        ]:
            op.case({"input": op.uniform(shape, -3, 3)}, dim=dim)
        # Long rows: the gradient subtracts a sum over the row.
        op.case({"input": op.uniform((3, 521), -2, 2)}, dim=1, tol=(2e-5, 1e-5))
        op.case({"input": op.uniform((300, 2), -2, 2)}, dim=0, tol=(2e-5, 1e-5))
        # Large values, near to each other and far apart; constant rows.
        op.case({"input": np.float32(1e4) + op.uniform((3, 5), -3, 3)}, dim=1)
        op.case({"input": np.float32(-1e4) + op.uniform((4, 3), -3, 3)}, dim=0)
        op.case({"input": op.uniform((3, 5), -1e4, 1e4)}, dim=1)
        op.case({"input": np.float32([[1e4, 0, -1e4], [3e38, 3e38, -3e38]])}, dim=-1)
        op.case({"input": np.full((2, 6), 2.5, np.float32)}, dim=-1)
        # Entries of -inf are masked out, and have gradient 0 in softmax.
        masked = op.uniform((4, 5), -3, 3)
        masked[op.bools((4, 5)) & (np.arange(5) > 0)] = -INF
        op.case({"input": masked}, dim=1)
        op.case({"input": masked.T.reshape(1, 5, 2, 2)}, dim=1)
        op.case({"input": np.float32([[-INF, -INF], [INF, 0], [NAN, 0]])}, grad=False, dim=1)  # NaN
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=-3)
        op.raises({"input": op.uniform(())}, dim=1)


def indexing(file):
    op = file.op("gather", (2e-6, 2e-6))
    for shape, index_shape, dim in [
        ((5,), (3,), 0),
        ((5,), (9,), 0),  # repeated: gradients add up
        ((3, 4), (3, 4), 0),
        ((3, 4), (3, 4), 1),
        ((3, 4), (2, 4), 0),
        ((3, 4), (7, 2), 0),  # smaller than the input in the other dimension
        ((3, 4), (2, 6), 1),
        ((3, 4), (3, 1), -1),
        ((2, 3, 4), (2, 5, 4), 1),
        ((2, 3, 4), (1, 2, 6), 2),
        ((2, 3, 4), (3, 2, 1), -3),
        ((2, 3, 4, 5), (2, 2, 3, 4), 2),
        ((2, 3, 4, 5), (1, 3, 4, 7), -1),
        ((), (), 0),
        ((), (1,), 0),
        ((4,), (), 0),
        ((5,), (0,), 0),
        ((3, 4), (0, 4), 0),
        ((3, 4), (2, 0), 1),
        ((10, 13), (10, 1), 1),  # as in losses
    ]:
        size = shape[dim] if shape else 1
        op.case({"input": op.uniform(shape), "index": op.index(index_shape, size)}, dim=dim)
    op.case({"input": op.uniform((3, 4)), "index": np.full((5, 4), 2, np.int64)}, dim=0)
    op.case({"input": op.uniform((2, 3)), "index": np.ones((2, 100), np.int64)}, dim=1, tol=sum_tolerance(100))
    op.case({"input": np.float32([NAN, INF, 1]), "index": np.int64([2, 0, 1])}, grad=False, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((3,), 3)}, dim=0)  # ranks
    op.raises({"input": op.uniform((3,)), "index": op.index((3, 1), 3)}, dim=0)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 5), 3)}, dim=0)  # index beyond the input
    op.raises({"input": op.uniform((3, 4)), "index": op.index((4, 2), 3)}, dim=1)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=2)
    op.raises({"input": op.uniform((3, 4)), "index": op.index((2, 2), 2)}, dim=-3)


def losses(file):
    op = file.op("cross_entropy", (1e-5, 2e-6))  # a log-softmax and a short sum

    def labels(shape, target_shape, weight=False, ignored=0, ignore_index=-100):
        """Arguments with class indices, the first `ignored` of which are set to `ignore_index`."""
        classes = shape[1] if len(shape) > 1 else shape[0]
        target = op.index(target_shape, classes)
        target.reshape(-1)[:ignored] = ignore_index
        args = {"input": op.uniform(shape, -3, 3), "target": target}
        return args | ({"weight": op.uniform((classes,), 0.2, 2)} if weight else {})

    def probabilities(shape, weight=False):
        args = labels(shape, (), weight)
        target = op.uniform(shape, 0.1, 1)
        return args | {"target": target / target.sum(1 if len(shape) > 1 else 0, keepdims=True)}

    def case(args, **attrs):
        op.case(args, constant=("weight",), **attrs)

    for reduction in ("mean", "sum", "none"):
        case(labels((4, 5), (4,)), reduction=reduction)
        case(labels((4, 5), (4,), weight=True), reduction=reduction)
        case(labels((6, 5), (6,), ignored=2), reduction=reduction)
        case(labels((6, 5), (6,), weight=True, ignored=2, ignore_index=3), ignore_index=3, reduction=reduction)
        case(labels((4, 5), (4,)), label_smoothing=0.1, reduction=reduction)
        case(
            labels((6, 5), (6,), weight=True, ignored=2, ignore_index=1),
            ignore_index=1,
            label_smoothing=0.2,
            reduction=reduction,
        )
        case(labels((5,), ()), reduction=reduction)
        case(labels((5,), (), weight=True), label_smoothing=0.1, reduction=reduction)
        case(labels((2, 5, 3, 4), (2, 3, 4)), reduction=reduction)
        case(
            labels((2, 5, 3, 4), (2, 3, 4), weight=True, ignored=5, ignore_index=-1),
            ignore_index=-1,
            label_smoothing=0.3,
            reduction=reduction,
        )
        case(labels((3, 4, 7), (3, 7), weight=True), reduction=reduction)
        case(probabilities((4, 5)), reduction=reduction)
        case(probabilities((4, 5), weight=True), label_smoothing=0.1, reduction=reduction)
        case(probabilities((5,)), reduction=reduction)
        case(probabilities((2, 5, 3, 4), weight=True), reduction=reduction)
    case(labels((4, 5), (4,)))
    case(labels((4, 1), (4,)))  # one class: loss 0
    case(labels((33, 10), (33,)), label_smoothing=0.0, ignore_index=-100)
    case(labels((4, 5), (4,)), label_smoothing=1.0)
    case({"input": np.float32([[1e4, 0, -1e4], [1e4, 9999, 0]]), "target": np.int64([1, 0])}, reduction="none")
    case(labels((0, 5), (0,)), reduction="sum")
    case(labels((0, 5), (0,)), reduction="none")
    case(labels((3, 5), (3,), ignored=3), reduction="sum")
    case(labels((3, 5), (3,), ignored=3), reduction="none")
    case(labels((3, 5), (3,), ignored=3))  # all ignored: NaN, with gradient 0
    case(labels((0, 5), (0,)))  # NaN

    op.raises(labels((4, 5), (3,)))  # batches
    op.raises(labels((2, 5, 3, 4), (2, 4, 3)))
    op.raises(labels((2, 5, 3, 4), (2,)))
    op.raises(labels((4, 5), ()))
    op.raises(labels((5,), (2,)))
    op.raises(labels((4, 5), (4,)) | {"weight": op.uniform((4,), 0.2, 2)})
    op.raises(labels((4, 5), (4,)), reduction="average")
    op.raises(labels((4, 5), (4,)), label_smoothing=1.5)
    op.raises({"input": op.uniform((4, 5)), "target": op.uniform((4, 4), 0, 1)})
    op.raises({"input": op.uniform((4, 5)), "target": op.uniform((4,), 0, 1)})
    op.raises(probabilities((4, 5)), ignore_index=2)


def normalization(file):
    def tolerance(args, outputs):
        rtol, atol = sum_tolerance(args["input"].numel())
        return (max(rtol, 5e-5), max(atol, 2e-5))

    for name in ("var", "std"):
        op = file.op(name, tolerance)
        for shape, attrs in [
            ((7,), {}),
            ((5, 7, 11), {"dim": None}),
            ((5, 7, 11), {"dim": [0, 2], "correction": 0}),
            ((5, 7), {"dim": -1, "keepdim": True}),
            ((5, 7), {"dim": [0], "correction": 2}),
            ((5, 7), {"dim": 1, "correction": 0.5}),
            ((2, 3, 4, 5), {"dim": [1, -1], "correction": 1, "keepdim": True}),
            ((3, 1), {"dim": 1, "correction": 0}),  # variance 0
            ((1031, 3), {"dim": 0}),
        ]:
            op.case({"input": op.uniform(shape, -2, 2)}, **attrs)
        op.case({"input": op.uniform((4, 100), 1000, 1001)}, tol=(2e-5, 1e-4), dim=1)  # a large mean
        op.case({"input": np.float32([[2, 2, 2], [1, 2, 3]])}, dim=1)
        op.case({"input": op.uniform((3, 1))}, grad=False, dim=1)  # NaN
        op.case({"input": op.uniform((0, 3))}, dim=1)
        op.case({"input": np.float32([[1, NAN, 2], [INF, 2, 1]])}, grad=False, dim=1)
        op.raises({"input": op.uniform((2, 3))}, dim=2)
        op.raises({"input": op.uniform((2, 3))}, dim=[0, -2])
        op.raises({"input": op.index((2, 3), 5)}, dim=1)

    def named(op, x, scale, weight, bias):
        args = {"input": op.uniform(x, -2, 2)}
        args |= {"weight": op.uniform(scale, 0.3, 2)} if weight else {}
        return args | ({"bias": op.uniform(scale)} if bias else {})

    op = file.op("layer_norm", tolerance)
    for shape, over, eps in [
        ((7,), (7,), 1e-5),
        ((3, 5), (5,), 1e-5),
        ((3, 5), (3, 5), 1e-5),
        ((2, 3, 5), (3, 5), 0.5),
        ((2, 3, 4, 5), (5,), 1e-5),
        ((2, 3, 4, 5), (3, 4, 5), 1e-3),
        ((3, 1), (1,), 0.1),
        ((4, 1031), (1031,), 1e-5),
        ((0, 5), (5,), 1e-5),
    ]:
        for weight, bias in ((True, True), (False, False), (True, False)):
            op.case(named(op, shape, over, weight, bias), normalized_shape=over, eps=eps)
    op.case(named(op, (3, 5), (5,), True, True), normalized_shape=(5,))
    op.case({"input": op.uniform((3, 64), 100, 101)}, tol=(1e-4, 1e-4), normalized_shape=(64,))  # a large mean
    op.case({"input": np.float32([[8, 2], [0, 4]])}, normalized_shape=(2,), eps=1e-5)
    op.raises(named(op, (3, 5), (3,), False, False), normalized_shape=(3,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=(2, 3, 5))
    op.raises(named(op, (3, 5), (3,), True, False), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (1,), False, True), normalized_shape=(5,))
    op.raises(named(op, (3, 5), (5,), False, False), normalized_shape=())

    op = file.op("group_norm", tolerance)
    for shape, groups, eps in [
        ((2, 6), 2, 1e-5),
        ((2, 6, 5), 3, 1e-5),
        ((3, 4, 3, 5), 1, 0.1),
        ((1, 4, 7, 3), 4, 1e-5),
        ((2, 3), 3, 0.1),  # one value for each group
        ((2, 4, 3, 2, 5), 2, 1e-5),
        ((1, 4), 2, 1e-2),
        ((2, 8, 13, 11), 4, 1e-5),
        ((0, 4, 3), 2, 1e-5),
    ]:
        for weight, bias in ((True, True), (False, False), (False, True)):
            op.case(named(op, shape, shape[1:2], weight, bias), num_groups=groups, eps=eps)
    op.case(named(op, (2, 4, 3), (4,), True, False), num_groups=2)
    op.raises(named(op, (2, 6, 5), (6,), False, False), num_groups=4)
    op.raises(named(op, (2, 6, 5), (3,), True, False), num_groups=3)
    op.raises(named(op, (2, 6, 5), (5,), False, True), num_groups=3)
    op.raises(named(op, (1, 3), (3,), False, False), num_groups=3)
    op.raises(named(op, (6,), (6,), False, False), num_groups=3)

    op = file.op("batch_norm", tolerance)

    def running(op, x, channels, weight, bias):
        statistics = {"running_mean": op.uniform(channels), "running_var": op.uniform(channels, 0.3, 2)}
        args = named(op, x, channels, weight, bias)
        return {"input": args.pop("input")} | statistics | args

    constant = ("running_mean", "running_var")
    for shape, eps in [
        ((5, 3), 1e-3),
        ((3, 2, 7), 1e-5),
        ((2, 3, 4, 5), 1e-5),
        ((1, 2, 3, 5), 0.1),
        ((4, 1, 2, 3, 2), 1e-5),
        ((7, 4, 13, 11), 1e-5),
    ]:
        channels = shape[1:2]
        for weight, bias in ((True, True), (False, False)):
            op.case(running(op, shape, channels, weight, bias), constant=constant, training=True, eps=eps)
            op.case(running(op, shape, channels, weight, bias), constant=constant, training=False, eps=eps)
        op.case(named(op, shape, channels, True, False), training=True, momentum=0.5, eps=eps)
    op.case(running(op, (2, 3, 4), (3,), True, True), constant=constant)
    op.case(running(op, (1, 3), (3,), False, True), constant=constant)  # one value will do in evaluation
    op.case(running(op, (0, 3, 2), (3,), False, False), constant=constant, training=True)
    op.raises(named(op, (2, 3, 4), (3,), False, False))  # no statistics
    op.raises(running(op, (1, 3), (3,), False, False), training=True)
    op.raises(running(op, (1, 3, 1, 1), (3,), True, True), training=True)
    op.raises(running(op, (2, 3, 4), (4,), False, False))
    op.raises(named(op, (2, 3, 4), (2,), True, False), training=True)
    op.raises(named(op, (2, 3, 4), (4,), False, True), training=True)
    op.raises(named(op, (3,), (3,), False, False), training=True)
# Shapes: padding, joining, rearranging.


def shape(file):
    op = file.op("pad", EXACT)
    for size, pads in [
        ((7,), [2, 3]),
        ((3, 4), [1, 2]),
        ((3, 4), [1, 2, 0, 3]),
        ((3, 4), [-1, -2]),
        ((3, 4), [-2, 3, 1, -1]),
        ((3, 4), [-2, -2]),  # an empty result
        ((3, 4), []),
        ((3, 0), [2, 1]),
        ((0, 4), [1, 1]),
        ((2, 3, 4, 5), [1, 2, 3, 4]),
        ((2, 3, 4, 5), [0, 0, 0, 0, 1, 2]),
        ((2, 3, 4, 5), [1, 1, 0, 2, 0, 0, 3, 1]),  # the batch as well
        ((2, 2, 3, 2, 3), [1, 0, 0, 1, 2, 0, 0, 1, 1, 1]),
    ]:
        op.case({"input": op.uniform(size)}, pad=pads)
        op.case({"input": op.uniform(size)}, pad=pads, mode="constant", value=-1.5)
    op.case({"input": op.index((2, 3), 9)}, pad=[1, 2])
    op.case({"input": op.bools((2, 3))}, pad=[1, 2], value=1.0)
    sums = (1e-5, 1e-6)  # gradients add up
    for mode in ("reflect", "replicate", "circular"):
        for size, pads in [
            ((2, 5), [2, 1]),
            ((3, 2, 5), [0, 4]),
            ((0, 2, 5), [1, 2]),
            ((3, 4, 5), [1, 2, 3, 0]),
            ((2, 3, 4, 5), [4, 3, 2, 3]),
            ((2, 3, 4, 5), [0, 0, 1, 2]),
            ((2, 3, 4, 5), [-1, -2, 0, -1]),
            ((2, 3, 4, 5), [-2, 2, 2, -1]),
            ((0, 3, 4, 5), [1, 2, 1, 0]),
            ((2, 3, 4, 5), [1, 2, 3, 1, 1, 0]),
            ((2, 2, 3, 4, 5), [1, 2, 0, 1, 2, 2]),
            ((2, 5), [0, 0]),
        ]:
            op.case({"input": op.uniform(size)}, tol=sums, pad=pads, mode=mode)
        op.raises({"input": op.uniform((4,))}, pad=[1, 1], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[1, 1, 1, 1], mode=mode)
        op.raises({"input": op.uniform((2, 3, 4, 4))}, pad=[1, 1], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[], mode=mode)
        op.raises({"input": op.uniform((4, 4))}, pad=[1, 1], mode=mode, value=1.0)
        op.raises({"input": op.uniform((4, 4))}, pad=[-3, -2], mode=mode)
    for size, pads, mode in [
        ((2, 4), [9, 8], "replicate"),
        ((2, 1), [2, 3], "replicate"),
        ((1, 4), [-4, 3], "replicate"),
        ((1, 4), [3, -3], "replicate"),
        ((1, 4), [-4, 3], "reflect"),
        ((2, 4), [3, 3], "reflect"),
        ((2, 4), [4, 4], "circular"),
        ((2, 4), [-2, -2], "circular"),
        ((2, 1), [1, 1], "circular"),
    ]:
        op.case({"input": op.uniform(size)}, tol=sums, pad=pads, mode=mode)
    for size, pads, mode in [
        ((2, 4), [4, 1], "reflect"),
        ((2, 4), [1, 4], "reflect"),
        ((2, 4, 5), [1, 1, 0, 4], "reflect"),
        ((2, 4), [5, 0], "circular"),
        ((2, 4), [0, 5], "circular"),
        ((2, 4), [-2, -2], "reflect"),
        ((2, 4), [-2, -2], "replicate"),
        ((2, 3, 0), [1, 1], "replicate"),
        ((2, 3, 0), [0, 0], "reflect"),
        ((2, 0, 4), [1, 1], "reflect"),
        ((2, 4), [1], "constant"),
        ((4,), [1, 1, 1, 1], "constant"),
        ((2, 4), [-3, -2], "constant"),
        ((2, 4), [-6, 5], "constant"),
    ]:
        op.raises({"input": op.uniform(size)}, pad=pads, mode=mode)

    op = file.op("cat", EXACT)
    for dim, shapes in [
        (0, [(4,)]),
        (0, [(3,), (5,)]),
        (-1, [(3,), (1,), (2,)]),
        (0, [(2, 3), (4, 3)]),
        (1, [(2, 3), (2, 4)]),
        (-2, [(2, 3), (1, 3), (5, 3)]),
        (0, [(2, 3, 4), (1, 3, 4)]),
        (1, [(2, 3, 4), (2, 1, 4), (2, 2, 4)]),
        (2, [(2, 3, 4), (2, 3, 3)]),
        (-3, [(2, 3, 4), (3, 3, 4)]),
        (1, [(2, 3, 4, 5), (2, 2, 4, 5)]),
        (3, [(2, 3, 4, 5), (2, 3, 4, 1)]),
        (2, [(1, 2, 3, 2, 2), (1, 2, 2, 2, 2)]),
        (1, [(2, 3), (2, 0), (2, 2)]),
        (0, [(0, 3), (2, 3)]),
        (0, [(0, 3), (0, 3)]),
        (1, [(0, 3), (0, 2)]),
        (1, [(0,), (2, 3)]),  # an empty vector goes with anything
        (2, [(2, 2, 3), (0,), (2, 2, 1), (0,)]),
        (0, [(0,), (0,)]),
        (1, [(0,), (0,)]),
        (1, [(2, 1)] * 9 + [(2, 3)] * 3),
        (0, [(1, 2)] * 20),
    ]:
        op.case({"tensors": [op.uniform(s) for s in shapes]}, dim=dim)
    op.case({"tensors": [op.uniform((2, 3)), op.uniform((1, 3))]})
    op.case({"tensors": [op.index((2, 3), 9), op.index((2, 1), 9)]}, dim=1)
    op.case({"tensors": [op.bools((2, 3)), op.bools((2, 1))]}, dim=1)
    for dim, shapes in [
        (1, [(2, 3), (3, 3)]),
        (0, [(2, 3), (2, 4)]),
        (0, [(2, 3), (2,)]),
        (0, [(0, 3), (2, 4)]),
        (0, [(), ()]),
        (2, [(2, 3), (2, 3)]),
        (-3, [(2, 3), (2, 3)]),
        (2, [(0,), (2, 3)]),
    ]:
        op.raises({"tensors": [op.uniform(s) for s in shapes]}, dim=dim)

    op = file.op("stack", EXACT)
    for dim, count, size in [
        (0, 2, ()),
        (-1, 3, ()),
        (0, 3, (4,)),
        (1, 3, (4,)),
        (-1, 2, (2, 3)),
        (-2, 2, (2, 3)),
        (-3, 2, (2, 3)),
        (2, 1, (2, 3, 4)),
        (1, 9, (2, 3)),
        (1, 2, (0, 3)),
        (0, 2, (0,)),
    ]:
        op.case({"tensors": [op.uniform(size) for _ in range(count)]}, dim=dim)
    op.case({"tensors": [op.uniform((2, 3)), op.uniform((2, 3))]})
    op.raises({"tensors": [op.uniform((2, 3)), op.uniform((2, 1))]}, dim=0)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((0,))]}, dim=0)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((3,))]}, dim=2)
    op.raises({"tensors": [op.uniform((3,)), op.uniform((3,))]}, dim=-3)

    op = file.op("split", EXACT)
    for size, sections, dim in [
        ((7,), 3, 0),
        ((7,), 7, -1),
        ((7,), 9, 0),
        ((2, 6), 2, 1),
        ((5, 2, 3), 2, -3),
        ((0, 3), 2, 0),
        ((0, 3), 0, 0),
        ((7,), [2, 5], 0),
        ((2, 7, 3), [2, 0, 4, 1], 1),
        ((2, 3), [3], -1),
    ]:
        op.case({"tensor": op.uniform(size)}, split_size_or_sections=sections, dim=dim)
    op.case({"tensor": op.uniform((5, 2))}, split_size_or_sections=2)
    for size, sections, dim in [
        ((4,), 0, 0),
        ((4,), -1, 0),
        ((4,), [1, 2], 0),
        ((4,), [3, 2], 0),
        ((4,), [5, -1], 0),
        ((4,), 2, 1),
        ((), 1, 0),
    ]:
        op.raises({"tensor": op.uniform(size)}, split_size_or_sections=sections, dim=dim)

    op = file.op("chunk", EXACT)
    for size, chunks, dim in [
        ((7,), 3, 0),
        ((5,), 4, 0),
        ((7,), 4, -1),
        ((3,), 5, 0),
        ((2, 6), 3, 1),
        ((2, 6), 1, 1),
        ((4, 2, 3), 2, -3),
        ((0, 2), 3, 0),
        ((2, 0), 2, 0),
    ]:
        op.case({"input": op.uniform(size)}, chunks=chunks, dim=dim)
    op.raises({"input": op.uniform((4,))}, chunks=0, dim=0)
    op.raises({"input": op.uniform((4,))}, chunks=2, dim=1)
    op.raises({"input": op.uniform(())}, chunks=2, dim=0)

    op = file.op("flip", EXACT)
    for size, dims in [
        ((5,), [0]),
        ((3, 4), [-1]),
        ((3, 4), [0, 1]),
        ((3, 4), []),
        ((2, 3, 4, 5), [1, 3]),
        ((2, 3, 4, 5), [-1, 0]),
        ((2, 1, 2, 3, 2), [0, 2, 4]),
        ((0, 3), [0, 1]),
        ((), [0]),
    ]:
        op.case({"input": op.uniform(size)}, dims=dims)
    op.raises({"input": op.uniform((2, 3))}, dims=[0, -2])
    op.raises({"input": op.uniform((2, 3))}, dims=[2])

    op = file.op("roll", EXACT)
    for size, shifts, dims in [
        ((5,), 2, 0),
        ((3, 4), -1, 1),
        ((3, 4), [1, 2], [0, 1]),
        ((3, 4), [1, 1], [1, 1]),
        ((3, 4), 9, 0),
        ((2, 3, 4, 5), [1, -3], [-1, 0]),
        ((2, 2, 3, 2, 3), [1, 1, 2, 1], [0, 1, 2, 4]),
        ((0, 3), 1, 1),
    ]:
        op.case({"input": op.uniform(size)}, shifts=shifts, dims=dims)
    op.case({"input": op.uniform((3, 4))}, shifts=5)
    op.case({"input": op.uniform(())}, shifts=1)
    op.raises({"input": op.uniform((3, 4))}, shifts=[1, 2], dims=[0])
    op.raises({"input": op.uniform((3, 4))}, shifts=[1, 2])
    op.raises({"input": op.uniform((3, 4))}, shifts=1, dims=2)
    op.raises({"input": op.uniform(())}, shifts=1, dims=0)

    op = file.op("pixel_shuffle", EXACT)
    for size, factor in [
        ((1, 4, 2, 3), 2),
        ((2, 8, 3, 2), 2),
        ((2, 9, 1, 2), 3),
        ((4, 2, 3), 2),
        ((1, 2, 4, 2, 3), 2),
        ((2, 3, 2, 2), 1),
        ((0, 4, 2, 2), 2),  # PyTorch has no gradient of nothing here
        ((1, 16, 1, 1), 4),
    ]:
        op.case({"input": op.uniform(size)}, grad=size[0] > 0, upscale_factor=factor)
    for size, factor in [((1, 6, 2, 2), 2), ((4, 2), 2), ((1, 4, 2, 2), 0), ((1, 4, 2, 2), -2)]:
        op.raises({"input": op.uniform(size)}, upscale_factor=factor)

    op = file.op("pixel_unshuffle", EXACT)
    for size, factor in [
        ((1, 1, 4, 6), 2),
        ((2, 2, 6, 4), 2),
        ((2, 1, 3, 6), 3),
        ((1, 4, 6), 2),
        ((1, 2, 1, 4, 6), 2),
        ((2, 3, 2, 2), 1),
        ((3, 1, 2, 6), 2),
        ((1, 1, 4, 4), 4),
    ]:
        # Not of nothing: PyTorch leaves an empty batch in the input's shape.
        op.case({"input": op.uniform(size)}, downscale_factor=factor)
    for size, factor in [((1, 1, 5, 4), 2), ((1, 1, 4, 5), 2), ((4, 2), 2), ((1, 1, 2, 2), 0)]:
        op.raises({"input": op.uniform(size)}, downscale_factor=factor)

    op = file.op("channel_shuffle", EXACT)
    for size, groups in [
        ((1, 4, 2, 2), 2),
        ((2, 6, 3, 2), 3),
        ((2, 6, 3, 2), 2),
        ((2, 6, 3), 3),
        ((1, 4, 2, 1, 2), 2),
        ((2, 3, 2, 2), 1),
        ((2, 3, 2, 2), 3),
        ((0, 4, 2, 2), 2),
    ]:
        op.case({"input": op.uniform(size)}, groups=groups)
    for size, groups in [((1, 4, 2, 2), 3), ((2, 4), 2), ((1, 4, 2, 2), 0)]:
        op.raises({"input": op.uniform(size)}, groups=groups)
REDUCTIONS = ("mean", "sum", "none")


def losses_nll(file):
    op = file.op("nll_loss", (1e-5, 2e-6))

    def args(shape, target_shape, weight=False, ignored=0, ignore_index=-100):
        classes = shape[1] if len(shape) > 1 else shape[0]
        target = op.index(target_shape, classes)
        target.reshape(-1)[:ignored] = ignore_index
        args = {"input": op.uniform(shape, -3, 0), "target": target}
        return args | ({"weight": op.uniform((classes,), 0.2, 2)} if weight else {})

    for reduction in REDUCTIONS:
        for arguments, attrs in [
            (args((4, 5), (4,)), {}),
            (args((4, 5), (4,), weight=True), {}),
            (args((6, 5), (6,), ignored=2), {}),
            (args((6, 5), (6,), weight=True, ignored=2, ignore_index=3), {"ignore_index": 3}),
            (args((5,), ()), {}),
            (args((5,), (), weight=True), {}),
            (args((2, 5, 3, 4), (2, 3, 4)), {}),
            (args((3, 4, 7), (3, 7), weight=True, ignored=5, ignore_index=-1), {"ignore_index": -1}),
        ]:
            op.case(arguments, constant=("weight",), reduction=reduction, **attrs)
    op.case(args((4, 5), (4,)))
    op.case(args((0, 5), (0,)), reduction="sum")
    op.case(args((3, 5), (3,), ignored=3))  # all ignored: NaN
    op.raises(args((4, 5), (3,)))
    op.raises(args((2, 5, 3, 4), (2, 4, 3)))
    op.raises(args((4, 5), (4,)) | {"weight": op.uniform((4,), 0.2, 2)})
    op.raises(args((4, 5), (4,)), reduction="average")


def losses_regression(file):
    bends = {"smooth_l1_loss": "beta", "huber_loss": "delta"}
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        op = file.op(name, (1e-5, 5e-6))

        def args(a, b, weight=False, op=op):
            args = {"input": op.uniform(a, -2, 2), "target": op.uniform(b, -2, 2)}
            return args | ({"weight": op.uniform(a, 0.2, 2)} if weight else {})

        options = [{}] + [{bends[name]: bend} for bend in (0.5, 2.0, 1e-3)] if name in bends else [{}]
        if name == "smooth_l1_loss":
            options.append({"beta": 0.0})
        for reduction in REDUCTIONS:
            for attrs in options:
                op.case(args((4, 5), (4, 5)), reduction=reduction, **attrs)
                op.case(args((2, 3, 4), (3, 1)), reduction=reduction, **attrs)
                if name != "smooth_l1_loss":
                    op.case(args((4, 5), (4, 5), weight=True), reduction=reduction, **attrs)
                    op.case(args((3, 4), (4,), weight=True), reduction=reduction, **attrs)
            op.case(args((), ()), reduction=reduction)
            # A difference of 0, of exactly the bend, and far beyond it.
            tie = {"input": np.float32([0, 1, -1, 1e4, -1e4]), "target": np.zeros(5, np.float32)}
            op.case(tie, reduction=reduction, tol=(1e-5, 1e-4) if reduction == "none" else (2e-5, 1e-3))
            op.case(args((2, 3, 4, 5), (2, 3, 4, 5)), reduction=reduction, tol=(2e-5, 1e-5))
        op.case(args((0, 5), (0, 5)), reduction="sum")
        op.case(args((3, 0), (3, 0)), reduction="none")
        op.raises(args((3,), (4,)))
        op.raises(args((3,), (3,)), reduction="average")
        if name in bends:
            op.raises(args((3,), (3,)), **{bends[name]: -1.0})
        if name != "smooth_l1_loss":
            op.raises(args((3,), (3,)) | {"weight": op.uniform((1,), 0.2, 2)})
    op.raises(args((3,), (3,)), delta=0.0)


def losses_binary(file):
    for name, low, high in [("binary_cross_entropy", 0.05, 0.95), ("binary_cross_entropy_with_logits", -5, 5)]:
        op = file.op(name, (2e-5, 1e-5))

        def args(shape, op=op, low=low, high=high, **weights):
            args = {"input": op.uniform(shape, low, high), "target": op.uniform(shape, 0, 1)}
            return args | {key: op.uniform(weight, 0.2, 2) for key, weight in weights.items()}

        extremes = np.float32([0, 0, 1, 1, 0.5]) if low > 0 else np.float32([-100, 100, -1e4, 1e4, 0])
        for reduction in REDUCTIONS:
            for arguments in [
                args((7,)),
                args(()),
                args((4, 5)),
                args((2, 3, 4, 5)),
                args((4, 5), weight=(4, 5)),
                args((4, 5), weight=(5,)),
                args((4, 5), weight=(4, 1)),
            ]:
                op.case(arguments, constant=("weight",), reduction=reduction)
            if low < 0:
                op.case(args((4, 5), pos_weight=(5,)), constant=("pos_weight",), reduction=reduction)
                both = args((2, 5, 3), weight=(5, 1), pos_weight=(3,))
                op.case(both, constant=("weight", "pos_weight"), reduction=reduction)
            target = np.float32([0, 1, 0, 1, 0.5])
            op.case({"input": extremes, "target": target}, constant=("target",), reduction=reduction)
        op.case(args((4, 5)))
        op.case(args((0, 5)), reduction="sum")
        op.raises(args((4, 5)) | {"target": op.uniform((5,), 0, 1)})
        op.raises(args((4, 5), weight=(4,)))
        op.raises(args((4, 5)), reduction="average")

    op = file.op("sigmoid_focal_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for attrs in [{}, {"alpha": -1}, {"alpha": 0.75, "gamma": 1.5}, {"gamma": 0.0}, {"alpha": 1.0, "gamma": 3}]:
            for shape in [(7,), (2, 3, 4)]:
                target = np.asarray(op.bools(shape), np.float32) if len(shape) == 1 else op.uniform(shape, 0, 1)
                op.case({"inputs": op.uniform(shape, -5, 5), "targets": target}, reduction=reduction, **attrs)
    op.case({"inputs": op.uniform((4, 5), -5, 5), "targets": op.uniform((4, 5), 0, 1)})
    op.raises({"inputs": op.uniform((4, 5)), "targets": op.uniform((4, 4), 0, 1)})

    op = file.op("dice_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for shape in [(2, 3, 7), (1, 1, 4, 5), (3, 2, 2, 3, 4)]:
            for attrs in [{}, {"smooth": 1e-5}, {"smooth": 0.0}]:
                target = np.asarray(op.bools(shape), np.float32)
                op.case({"input": op.uniform(shape, 0.05, 0.95), "target": target}, reduction=reduction, **attrs)
    op.case({"input": np.zeros((1, 2, 3), np.float32), "target": np.zeros((1, 2, 3), np.float32)})  # 0: nothing, found
    op.raises({"input": op.uniform((2, 3, 4)), "target": op.uniform((2, 3, 5))})


def losses_divergence(file):
    op = file.op("kl_div", (1e-5, 5e-6))

    def args(shape, target_shape, log_target):
        low, high = (-3, 0) if log_target else (0.05, 1)
        return {"input": op.uniform(shape, -3, 0), "target": op.uniform(target_shape, low, high)}

    for reduction in (*REDUCTIONS, "batchmean"):
        for log_target in (False, True):
            attrs = {"reduction": reduction, "log_target": log_target}
            for shape, target in [((4, 5), (4, 5)), ((7,), (7,)), ((2, 3, 4), (2, 3, 4)), ((3, 4), (4,))]:
                op.case(args(shape, target, log_target), **attrs)
        zeros = {"input": op.uniform((2, 3), -3, 0), "target": np.float32([[0, 0.5, 0.5], [0, 0, 1]])}
        op.case(zeros, constant=("target",), reduction=reduction)  # 0 log 0 is 0
        op.case({"input": op.uniform((2,)), "target": np.float32([-1, 0.5])}, grad=False, reduction=reduction)
    op.case(args((4, 5), (4, 5), False))
    op.case(args((), (), False), reduction="sum")
    op.case(args((0, 5), (0, 5), False), reduction="batchmean")
    op.case(args((), (), False), reduction="batchmean")  # a scalar is a batch of one
    op.raises(args((3,), (4,), False))
    op.raises(args((3,), (3,), False), reduction="average")


def losses_margin(file):
    def sides(op, shape):
        return np.where(op.bools(shape), np.float32(1), np.float32(-1))

    op = file.op("cosine_embedding_loss", (2e-5, 1e-5))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.3}, {"margin": -0.5}):
            for a, b, t in [((6, 5), (6, 5), (6,)), ((7,), (7,), ()), ((4, 3), (1, 3), (4,))]:
                args = {"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
        args = {"input1": op.uniform((3, 4)), "input2": op.uniform((3, 4)), "target": np.int64([1, -1, 0])}
        op.case(args, reduction=reduction)  # a target of neither counts for nothing
    for a, b, t in [((6, 5), (6, 5), ()), ((6, 5), (6, 5), (6, 5)), ((5,), (6, 5), (6,)), ((6, 5), (6, 4), (6,))]:
        op.raises({"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)})

    op = file.op("hinge_embedding_loss", (1e-5, 5e-6))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.3}, {"margin": 2.0}):
            for a, t in [((7,), (7,)), ((), ()), ((4, 5), (5,)), ((2, 3, 4), (2, 3, 4))]:
                args = {"input": op.uniform(a, -2, 2), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
        op.case({"input": op.uniform((3,)), "target": np.int64([1, -1, 0])}, reduction=reduction)
    op.raises({"input": op.uniform((3,)), "target": sides(op, (4,))})
    op.raises({"input": op.uniform((3,)), "target": sides(op, (3,))}, reduction="average")

    op = file.op("margin_ranking_loss", (1e-5, 5e-6))
    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.5}, {"margin": -0.25}):
            for a, b, t in [((7,), (7,), (7,)), ((4, 5), (1, 5), (4, 1)), ((), (), ()), ((2, 3, 4), (2, 3, 4), (2, 3, 4))]:
                args = {"input1": op.uniform(a), "input2": op.uniform(b), "target": sides(op, t)}
                op.case(args, constant=("target",), reduction=reduction, **attrs)
    op.raises({"input1": op.uniform((3,)), "input2": op.uniform((3,)), "target": sides(op, (1, 3))})
    op.raises({"input1": op.uniform((3, 1)), "input2": op.uniform((3,)), "target": sides(op, (3,))})
    op.raises({"input1": op.uniform((3,)), "input2": op.uniform((4,)), "target": sides(op, (3,))})

    op = file.op("triplet_margin_loss", (2e-5, 1e-5))

    def triplet(*shapes):
        return dict(zip(("anchor", "positive", "negative"), (op.uniform(shape, -2, 2) for shape in shapes)))

    for reduction in REDUCTIONS:
        for attrs in ({}, {"margin": 0.2}, {"p": 1}, {"p": 3.0, "margin": 2.0}, {"swap": True}, {"eps": 0.01, "swap": True}):
            op.case(triplet((6, 5), (6, 5), (6, 5)), reduction=reduction, **attrs)
        op.case(triplet((5,), (5,), (5,)), reduction=reduction)
        op.case(triplet((2, 3, 4), (2, 3, 4), (2, 1, 4)), reduction=reduction, swap=True)
    op.raises(triplet((6, 5), (6, 5), (5,)))
    op.raises(triplet((6, 5), (4, 5), (6, 5)))
    op.raises(triplet((6, 5), (6, 5), (6, 5)), margin=0.0)


def norms(file):
    op = file.op("norm", (2e-5, 1e-5))
    for p in (2, 1, 3, 0.5, 2.5, 0, -1, "inf", "-inf"):
        for shape, attrs in [
            ((7,), {}),
            ((3, 5), {"dim": 1}),
            ((2, 3, 4), {"dim": [0, -1], "keepdim": True}),
            ((2, 3, 4), {"dim": 1, "keepdim": True}),
            ((67, 3), {"dim": 0}),
            ((), {}),
        ]:
            op.case({"input": op.signed(shape, 0.3, 2)}, p=p, **attrs)
    op.case({"input": op.uniform((3, 4))})
    for p in (2, 1, 3, 0.5, 0, "inf"):
        op.case({"input": np.float32([[0, 0, 0], [0, 3, -4]])}, p=p, dim=1)  # zeros have a gradient of 0
    for p in (2, 1, "inf", "-inf"):
        op.case({"input": np.float32([[1, NAN], [INF, 2], [-INF, 3]])}, grad=False, p=p, dim=1)
    op.case({"input": np.zeros((2, 0), np.float32)}, dim=1)
    op.case({"input": np.float32([[2, -2, 1], [1, 1, 1]])}, p="inf", dim=1)  # ties share
    op.raises({"input": op.uniform((2, 3))}, dim=2)
    op.raises({"input": op.uniform((2, 3))}, dim=[0, 0])
    op.raises({"input": np.zeros((2, 0), np.float32)}, p="inf", dim=1)


FAMILIES = [
    pointwise_unary,
    pointwise_binary,
    activations,
    activations_piecewise,
    reductions,
    matmul,
    conv2d,
    conv_transpose2d,
    pool2d,
    softmax,
    indexing,
    losses,
    normalization,
    shape,
    losses_nll,
    losses_regression,
    losses_binary,
    losses_divergence,
    losses_margin,
    norms,
]


# The check.


def used_tolerance(got, expected, rtol, atol):
    """The largest error of an element as a fraction of its tolerance; infinite where the tensors cannot agree."""
    if got.shape != expected.shape or got.dtype != expected.dtype:
        return INF
    got, expected = got.double(), expected.double()
    same = (got == expected) | (got.isnan() & expected.isnan())
    error = torch.where(same, 0.0, (got - expected).abs() / (atol + rtol * expected.abs()))
    return error.nan_to_num(INF, INF).max().item() if error.numel() else 0.0


def check_case(case, tensors):
    """The largest used fraction of the tolerance over the outputs and gradients, in float32."""
    name, op, attrs = case["name"], case["op"], case["attrs"]

    def stored(kind):
        prefix = f"{name}.{kind}."
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    args = stored("arg")
    args = {k: args[k] for k in unlisted(case["args"])}
    expected_outputs, expected_grads = stored("out"), stored("grad")
    cotangents = {int(i): c for i, c in stored("cot").items()}
    assert case["grad"] == bool(expected_grads) == bool(cotangents), name
    assert case["outputs"] == len(expected_outputs), name
    if case["raises"]:
        try:
            call(op, args, attrs)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return 0.0
        raise AssertionError(f"{name} does not raise")
    outputs, grads = run_case(op, args, attrs, cotangents, list(expected_grads), torch.float32)
    pairs = [(o, expected_outputs[str(i)]) for i, o in enumerate(outputs)]
    pairs += [(grads[k], expected) for k, expected in expected_grads.items()]
    return max(used_tolerance(got, expected, case["rtol"], case["atol"]) for got, expected in pairs)


def check_file(path):
    """Checks a file and prints a line per operation. Returns the number of bad cases."""
    with safe_open(path, "pt") as file:
        cases = json.loads(file.metadata()["cases"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    assert len({case["name"] for case in cases}) == len(cases)
    by_case = {case["name"]: {} for case in cases}
    for key, tensor in tensors.items():
        owner = ".".join(key.split(".")[:2])
        by_case[owner][key] = tensor
    counts, raising, worst, bad = Counter(), Counter(), Counter(), 0
    for case in cases:
        used = check_case(case, by_case[case["name"]])
        if used > 1 / 3:
            print(f"  BAD {case['name']} {case['attrs']}: {used:.3f} of the tolerance")
            bad += 1
        op = case["op"]
        counts[op] += 1
        raising[op] += case["raises"]
        worst[op] = max(worst[op], used)
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1024:.0f} KiB")
    for op in counts:
        print(f"  {op:16} {counts[op]:3} cases ({raising[op]:2} raise), float32 uses {worst[op]:.3f} of the tolerance")
    return bad


def main():
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Using padding='same'")
    warnings.filterwarnings("ignore", ".*degrees of freedom is <= 0")
    warnings.filterwarnings("ignore", "Using a target size")
    warnings.filterwarnings("ignore", "reduction: 'mean' divides")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    print(f"PyTorch {torch.__version__}")
    bad = 0
    for family in FAMILIES:
        file = File(family.__name__)
        family(file)
        file.save(folder)
        bad += check_file(folder / f"{file.name}.safetensors")
    if bad:
        sys.exit(f"{bad} cases use more than a third of their tolerance")


if __name__ == "__main__":
    main()
