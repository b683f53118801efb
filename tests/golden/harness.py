"""What the families share: tolerances, calls of PyTorch, and a case file in the making."""

import json
import math
import re
import zlib
from collections import Counter
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

import schedules
import scores
import trajectories

# Tolerances (rtol, atol).
SAME = (0.0, 0.0)  # bools, indices: must be equal
EXACT = (2.0**-23, 0.0)  # a selection, a sign change, a rounding: at most one float32 rounding
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
    room, _, name = op.rpartition(".")
    if room == "lr_scheduler":
        return partial(schedules.rates, name)
    if room == "metrics":
        return scores.metric(name)
    if room == "optim":
        return partial(trajectories.trajectory, name)
    return next(getattr(room, op) for room in (F, torch, torchvision.ops) if hasattr(room, op))


def list_of(key):
    """The list that a `flat` argument `NAME.I` is an element of, and nothing for other arguments."""
    name, _, element = key.rpartition(".")
    return name if element.isdigit() else None


def call(op, args, attrs):
    """Calls PyTorch and returns the outputs as a list. Arguments `NAME.0`, `NAME.1`, .. are the list `NAME`."""
    grouped = {}
    for key, value in args.items():
        if name := list_of(key):
            grouped.setdefault(name, []).append(value)
        else:
            grouped[key] = value
    # JSON has no infinities and no NaN.
    attrs = {k: float(v) if isinstance(v, str) and v in ("inf", "-inf", "nan") else v for k, v in attrs.items()}
    result = torch_function(op)(**grouped, **attrs)
    outputs = list(result) if isinstance(result, (tuple, list)) else [result]
    return [output for output in outputs if output is not None]


def refusal(op, args, attrs):
    """The error of a call that PyTorch refuses, and `None` where it does not."""
    try:
        call(op, args, attrs)
    except (AssertionError, ArithmeticError, RuntimeError, ValueError, IndexError, TypeError) as error:
        return error
    return None


def run_case(op, args, attrs, cotangents, differentiable, dtype=None):
    """Outputs, and gradients by argument name, of a call whose floats are converted to `dtype`, if that is given."""
    args = {k: v.detach().to(dtype or v.dtype) if v.is_floating_point() else v for k, v in args.items()}
    for name in differentiable:
        args[name].requires_grad_()
    outputs = call(op, args, attrs)
    if not differentiable:
        return outputs, {}
    pairs = [(outputs[i], c.to(outputs[i].dtype)) for i, c in cotangents.items()]
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
    counts = Counter(list_of(key) or key for key in args)
    is_list = {list_of(key) for key in args}
    return [f"{name}[{count}]" if name in is_list else name for name, count in counts.items()]


def unlisted(names):
    """The `flat` names behind the names in a case."""
    keys = []
    for name in names:
        head, bracket, count = name.rstrip("]").partition("[")
        keys += [f"{head}.{i}" for i in range(int(count))] if bracket else [name]
    return keys


def to_stored(exact, own):
    """A result in the type that PyTorch gives it."""
    return exact.to(own.dtype).contiguous().clone()


# The variant of wgrad's `Error` that PyTorch's message asks for: the first whose pattern it has, or else `Invalid`.
VARIANTS = {
    "DimRepeated": "appears multiple times in the list of dims|duplicate dims|cannot be identical",
    "DimOutOfRange": "Dimension (out of range|specified as)",
    "Broadcast": "must match the (existing )?size|broadcast",
    "WrongDType": "not implemented for|dtype|scalar type|[Bb]ool|LongTensor|Integer division|floating point|be cast",
    "IndexOutOfRange": "out of bounds|index out of range|target.* out of range|invalid max index|Class values",
    "Negative": "var has negative entry",
}

# Where wgrad's is another one.
OTHERWISE = {
    # A shape that the operation does not take, whose missing dimension or element PyTorch meets on its way.
    "Invalid": """avg_pool2d.41 baddbmm.23 batch_norm.39 instance_norm.61 lp_pool2d.59 roi_align.37 roi_pool.33
        scaled_dot_product_attention.69 scatter.64 take_along_dim.29 unfold.34
        box_area.20 box_iou.20 generalized_box_iou.20 distance_box_iou.20 complete_box_iou.20
        metrics.peak_signal_noise_ratio.19
    """
    # Shapes that must be equal, or of which one must expand to the other.
    """dice_loss.28 einsum.75 einsum.92 expand.23 scaled_dot_product_attention.65 soft_margin_loss.22
    """
    # A value or a length that is wrong, whatever the type and the classes; probabilities of classes are floats.
    """softshrink.28 add.37 sub.34 one_hot.28 one_hot.30 one_hot.31 cross_entropy.65 cross_entropy.66""",
    # Lengths are looked at on the device, as labels are.
    "IndexOutOfRange": "ctc_loss.63 ctc_loss.64 ctc_loss.65 ctc_loss.66 ctc_loss.69 ctc_loss.70",
    "TooManyDimensions": "lp_pool3d.60",
}


def variant(case, error):
    """The variant of wgrad's error for a call that PyTorch refuses with `error`."""
    own = next((name for name, cases in OTHERWISE.items() if case in cases.split()), None)
    return own or next((name for name, pattern in VARIANTS.items() if re.search(pattern, str(error))), "Invalid")


def largest(tensor):
    finite = tensor[tensor.isfinite()].abs()
    return finite.max().item() if finite.numel() else 0.0


def scale(exact, own, terms):
    """The size of what is rounded on the way to a result, 1 at most: `atol` counts in it.

    It is the largest element of the result; or, where terms cancel, the size of the `terms`, or if that is not given
    PyTorch's own error in units of the last digit.
    """
    error = (own.double() - exact).masked_fill(own == exact, 0.0)
    size = max(largest(exact), largest(error) / torch.finfo(own.dtype).eps if terms is None else terms)
    return min(1.0, float(f"{1.05 * size:.1e}"))  # up to two digits


def same_zeros(exact, own):
    """Whether PyTorch means the signs of zeros: those of all its precisions agree."""
    return not ((exact == 0) & (own == 0) & (exact.signbit() != own.signbit())).any()


def named(outputs, grads):
    """Results by their keys in a case."""
    return {f"out.{i}": output for i, output in enumerate(outputs)} | {f"grad.{k}": v for k, v in grads.items()}


class File:
    """A case file in the making."""

    def __init__(self, name):
        self.name = name
        self.cases = []
        self.tensors = {}
        self.ops = {}
        self.is_special = name.endswith("_specials")
        self.coarse = set()

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

    def case(self, args, *, tol=None, terms=None, coarse=False, grad=True, constant=(), cotangent=None, **attrs):
        """Adds a case; the cotangents are random, or all of them `cotangent`.

        `coarse` says that PyTorch's float32 loses digits here that float32 could keep, and need not stay within `tol`.

        `tol` is a pair or a function from (args, outputs) to one; its second number counts in the `scale` of a result.
        With `grad`, the gradients of all float arguments but those named in `constant` are stored, provided that an
        output is differentiable.
        """
        args = flat(args)
        outputs = call(self.name, args, attrs)
        cotangents, differentiable = {}, []
        if grad:
            differentiable = [k for k, v in args.items() if v.is_floating_point() and k not in constant]
            cotangents = {
                i: torch.from_numpy(self.uniform(tuple(o.shape))).to(o.dtype)
                if cotangent is None
                else torch.full(o.shape, cotangent, dtype=o.dtype)
                for i, o in enumerate(outputs)
                if o.is_floating_point()
            }
        grad = bool(differentiable and cotangents)
        if not grad:
            cotangents, differentiable = {}, []
        tol = tol or self.tol
        rtol, atol = tol(args, outputs) if callable(tol) else tol

        exact = named(*run_case(self.name, args, attrs, cotangents, differentiable, torch.float64))
        own = named(*run_case(self.name, args, attrs, cotangents, differentiable))
        case = {"outputs": len(outputs), "grad": grad, "rtol": rtol, "atol": atol, "raises": False}
        if atol:
            terms = 0.0 if coarse else terms
            sizes = {k: scale(result, own[k], terms) for k, result in exact.items() if result.is_floating_point()}
            if sizes := {k: size for k, size in sizes.items() if size < 1}:
                case["scales"] = sizes
        if self.file.is_special and all(same_zeros(result, own[k]) for k, result in exact.items()):
            case["signed_zeros"] = True
        name = self._add(args, attrs, case)
        self.file.coarse |= {name} if coarse else set()
        self.file.tensors.update({f"{name}.{k}": to_stored(result, own[k]) for k, result in exact.items()})
        self.file.tensors.update({f"{name}.cot.{i}": c for i, c in cotangents.items()})

    def raises(self, args, *, error=None, **attrs):
        """Adds a case of a call that is an error: of the variant `error`, or that which the message asks for."""
        args = flat(args)
        raised = refusal(self.name, {k: v.clone() for k, v in args.items()}, attrs)
        error = error or variant(f"{self.name}.{self.count}", raised)
        self._add(args, attrs, {"outputs": 0, "grad": False, "raises": True, "error": error})

    def _add(self, args, attrs, rest):
        name = f"{self.name}.{self.count}"
        self.count += 1
        self.file.cases.append({"name": name, "op": self.name, "args": listed(args), "attrs": attrs, **rest})
        self.file.tensors.update({f"{name}.arg.{k}": v for k, v in args.items()})
        return name
