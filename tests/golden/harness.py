"""What the families share: tolerances, calls of PyTorch, and a case file in the making."""

import json
import math
import zlib
from collections import Counter
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
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


def pairwise_distance(x1, x2, p=2, eps=1e-6, keepdim=False):
    """With infinite orders as strings."""
    return F.pairwise_distance(x1, x2, float(p), eps, keepdim)


def dice_loss(input, target, smooth=1.0, reduction="mean"):
    """Milletari et al. 2016, for each sample and class."""
    places = tuple(range(2, input.dim()))
    both, either = (input * target).sum(places), input.sum(places) + target.sum(places)
    loss = 1 - (2 * both + smooth) / (either + smooth)
    return {"none": loss, "mean": loss.mean(), "sum": loss.sum()}[reduction]


def einsum(operands, equation):
    """`torch.einsum`, whose arguments have no names."""
    return torch.einsum(equation, *operands)


def normalize(input, p=2, **attrs):
    """`F.normalize` with infinite orders as strings, as `norm`."""
    return F.normalize(input, float(p), **attrs)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """`F.rms_norm`, which takes float64's epsilon in float64."""
    return F.rms_norm(input, normalized_shape, weight, torch.finfo(torch.float32).eps if eps is None else eps)


def lp_pool(dims):
    """`lp_poolNd` with infinite orders as strings."""
    pool = getattr(F, f"lp_pool{dims}d")
    return lambda input, norm_type, **attrs: pool(input, float(norm_type), **attrs)


def global_pool(reduce):
    """One value a channel, over all dimensions but the first two."""

    def pool(input):
        if input.dim() < 3 or 0 in input.shape[2:]:
            raise ValueError("no channels")
        return reduce(input.flatten(2)).reshape(*input.shape[:2], *[1] * (input.dim() - 2))

    return pool


def slice_of(input, dim=0, start=0, end=None, step=1):
    """As Python's slices, of one dimension."""
    return input[(slice(None),) * (dim % input.dim()) + (slice(start, end, step),)]


# Functions that PyTorch itself does not have, or not in a form that a case file can hold, and methods.
OWN = {
    "slice": slice_of,
    "view": lambda input, size: input.view(size),
    "expand": lambda input, size: input.expand(size),
    "repeat": lambda input, repeats: input.repeat(repeats),
    "norm": norm,
    "einsum": einsum,
    "normalize": normalize,
    "rms_norm": rms_norm,
    "dice_loss": dice_loss,
    "pairwise_distance": pairwise_distance,
    "sigmoid_focal_loss": torchvision.ops.sigmoid_focal_loss,
}
OWN |= {f"lp_pool{dims}d": lp_pool(dims) for dims in (1, 2, 3)}
OWN["global_avg_pool"] = global_pool(lambda x: F.adaptive_avg_pool1d(x, 1))
OWN["global_max_pool"] = global_pool(lambda x: F.adaptive_max_pool1d(x, 1))


def torch_function(op):
    if op == "batch_norm":  # whose running statistics may be None and have no default
        return partial(F.batch_norm, running_mean=None, running_var=None)
    if op == "multi_head_attention_forward":  # most of whose weights may be None and have no default
        names = ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_bias")
        return partial(F.multi_head_attention_forward, **dict.fromkeys(names))
    if op in OWN:
        return OWN[op]
    return next(getattr(room, op) for room in (F, torch, torchvision.ops) if hasattr(room, op))


def call(op, args, attrs):
    """Calls PyTorch and returns the outputs as a list. Arguments `NAME.0`, `NAME.1`, .. are the list `NAME`."""
    grouped = {}
    for key, value in args.items():
        name, element, _ = key.partition(".")
        if element:
            grouped.setdefault(name, []).append(value)
        else:
            grouped[name] = value
    # JSON has no infinities and no NaN.
    attrs = {k: float(v) if isinstance(v, str) and v in ("inf", "-inf", "nan") else v for k, v in attrs.items()}
    result = torch_function(op)(**grouped, **attrs)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return [output for output in outputs if output is not None]


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
        self.ops = {}

    def op(self, op, tol=POINTWISE):
        found = self.ops.setdefault(op, Op(self, op, tol))
        found.tol = tol
        return found

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

    def case(self, args, *, tol=None, grad=True, constant=(), cotangent=None, **attrs):
        """Adds a case; the cotangents are random, or all of them `cotangent`.

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
                if cotangent is None
                else torch.full(o.shape, cotangent)
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
