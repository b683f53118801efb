"""Infinities, NaN, zeros of either sign, the smallest and the largest float32, in every operation and its gradient.

What is expected is PyTorch's result in float64, as everywhere, and PyTorch's float32 must agree with it
(`make_golden.py` checks that): so there is nothing here that float32 can't hold on the way to a result that it can.
"""

import numpy as np
import torch

from harness import INF, NAN, call, run_case

MAX, SMALLEST, DENORMAL = 3.4028235e38, 1.1754944e-38, 1e-40
VALUES = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, MAX, -MAX, 1e20, -1e20, SMALLEST, DENORMAL, -DENORMAL]
TOL = (2e-5, 2e-6)

UNARY = """
    abs neg sign exp expm1 log log1p log2 log10 sqrt rsqrt reciprocal square atan sinh cosh tanh erf floor ceil
    trunc round isnan isinf isfinite logical_not relu sigmoid silu mish softsign relu6 hardsigmoid hardswish selu
    tanhshrink logsigmoid softplus gelu elu celu leaky_relu hardtanh softshrink hardshrink asin acos sin cos tan
    frac
""".split()
BINARY = "add sub mul div maximum minimum atan2 pow fmod remainder eq ne lt le gt ge logical_and logical_or".split()
# Past a few thousand periods float32 has no digits left of an angle, nor of a remainder.
MODERATE = ("sin", "cos", "tan", "fmod", "remainder")
# Where denormals are taken for 0, as many drivers do, these jump.
STEEP_AT_ZERO = """log log2 log10 rsqrt reciprocal sign logical_not logical_and logical_or eq ne lt le gt ge div atan2
    pow fmod remainder""".split()


def values_for(name):
    values = [v for v in VALUES if name not in MODERATE or not 1e19 < abs(v) < INF]
    return [v for v in values if name not in STEEP_AT_ZERO or not 0 < abs(v) < 1e-38]


def agreed(op, args, **attrs):
    """The elements of which PyTorch's own type and float64 agree, gradients included: others overflow on the way."""
    differentiable = list(args) if call(op.name, tensors(args), attrs)[0].is_floating_point() else []
    cotangents = {0: torch.ones(args["input"].shape)} if differentiable else {}
    types = (torch.float64, None)
    runs = [run_case(op.name, tensors(args), attrs, cotangents, differentiable, dtype) for dtype in types]
    keep = torch.ones(args["input"].shape, dtype=torch.bool)
    for exact, own in zip(*([*outputs, *grads.values()] for outputs, grads in runs)):
        same = torch.isclose(own.double(), exact.to(own.dtype).double(), op.tol[0] / 4, op.tol[1] / 4, equal_nan=True)
        keep &= same
    return {name: value[keep.numpy()] for name, value in args.items()}


def tensors(args):
    return {name: torch.from_numpy(value.copy()) for name, value in args.items()}


def pointwise_specials(file):
    for name in UNARY:
        op = file.op(name, TOL)
        op.case(agreed(op, {"input": np.float32(values_for(name))}), cotangent=1.0)
    for name in BINARY:
        op = file.op(name, TOL)
        values = np.float32(values_for(name))
        other = "exponent" if name == "pow" else "other"
        args = {"input": np.repeat(values, len(values)), other: np.tile(values, len(values))}
        op.case(agreed(op, args), cotangent=1.0)
    op = file.op("clamp", TOL)
    for attrs in ({"min": 0.0, "max": 1.0}, {"min": -1.5}, {"max": 0.75}):
        op.case({"input": np.float32(VALUES)}, **attrs)
    op = file.op("masked_fill", TOL)
    op.case({"input": np.float32(VALUES), "mask": np.arange(len(VALUES)) % 2 == 0}, value=3.0)
    op = file.op("where", TOL)
    condition = np.arange(len(VALUES)) % 2 == 0
    op.case({"condition": condition, "input": np.float32(VALUES), "other": np.float32(VALUES[::-1])})
    op = file.op("addcmul", TOL)
    for value in (0.0, 2.0):
        args = {"input": [1, INF, NAN, 2], "tensor1": [INF, 0, 1, 3], "tensor2": [0, INF, 1, 2]}
        op.case({name: np.float32(arg) for name, arg in args.items()}, value=value)
    op = file.op("lerp", TOL)
    op.case({"input": np.float32([1, INF, -INF, NAN, 1]), "end": np.float32([INF, INF, INF, 1, NAN])}, weight=0.25)
    op = file.op("prelu", TOL)
    op.case({"input": np.float32([[1, INF], [-INF, NAN], [-0.0, -2]]), "weight": np.float32([0.25, INF])})


def spoiled(op, shape, *, values=(NAN, INF, -INF, -0.0, DENORMAL), low=-1.0, high=1.0):
    """Random values with one special value in the middle and in the end; and with both infinities."""
    for value in values:
        x = op.uniform(shape, low, high)
        x.flat[x.size // 2] = x.flat[-1] = value
        yield x
    x = op.uniform(shape, low, high)
    x.flat[x.size // 2], x.flat[-1] = INF, -INF if low < 0 else INF
    yield x


def reduction_specials(file):
    for name in "sum mean amax amin argmax argmin logsumexp count_nonzero var std prod".split():
        op = file.op(name, (1e-4, 1e-5) if name == "prod" else TOL)
        for x in spoiled(op, (5, 7)):
            op.case({"input": x}, dim=1)
            op.case({"input": x}, dim=0)
    for name in ("max", "min"):
        op = file.op(name, TOL)
        for x in spoiled(op, (5, 7)):
            op.case({"input": x}, dim=1)
    op = file.op("norm", TOL)
    for x in spoiled(op, (5, 7)):
        for p in (1, 2, "inf"):
            op.case({"input": x}, p=p, dim=1)
    op = file.op("logsumexp", TOL)
    op.case({"input": np.float32([[-INF, -INF], [INF, 1], [MAX, MAX], [-MAX, -MAX], [-INF, 0]])}, dim=1)
    op = file.op("amax", TOL)
    op.case({"input": np.float32([[0.0, -0.0], [-0.0, 0.0], [MAX, MAX], [-INF, -INF], [NAN, NAN]])}, dim=1)
    for name in ("cumsum", "cumprod"):
        op = file.op(name, TOL)
        for x in spoiled(op, (3, 7)):
            op.case({"input": x}, dim=1, grad=name == "cumsum")
    for name in ("softmax", "log_softmax", "softmin"):
        op = file.op(name, TOL)
        for x in spoiled(op, (5, 7)):
            op.case({"input": x}, dim=1)
        op.case({"input": np.float32([[-INF, -INF, -INF], [INF, INF, 0], [MAX, -MAX, 0], [MAX, MAX, MAX]])}, dim=1)


def order_specials(file):
    op = file.op("sort", TOL)
    for descending in (False, True):
        for x in spoiled(op, (3, 9)):
            op.case({"input": x}, dim=1, descending=descending, stable=True)
        op.case({"input": np.float32([NAN, INF, -INF, MAX, -MAX, 1, -1])}, dim=0, descending=descending, stable=True)
    op = file.op("topk", TOL)
    op.case({"input": np.float32([[NAN, INF, -INF, 1, 2], [MAX, -MAX, 3, INF, -INF]])}, k=3, dim=1)
    op.case({"input": np.float32([[NAN, INF, -INF, 1, 2], [MAX, -MAX, 3, INF, -INF]])}, k=2, dim=1, largest=False)
    op = file.op("kthvalue", TOL)
    op.case({"input": np.float32([[NAN, INF, -INF, 1, 2], [MAX, -MAX, 3, INF, -INF]])}, k=2, dim=1)


def product_specials(file):
    op = file.op("matmul", TOL)
    for left, right in [
        ((1, 3), (3, 1)),
        ((5, 7), (7, 3)),
        ((3, 9), (9, 35)),
        ((2, 3, 5), (2, 5, 4)),
        ((7,), (7, 33)),
        ((9, 13), (13,)),
        ((33, 5), (5, 37)),
    ]:
        for value in (INF, NAN):
            for place in (left, right):
                args = {"input": op.uniform(left), "other": op.uniform(right)}
                args["input" if place is left else "other"].flat[-1] = value
                op.case(args)
    op = file.op("linear", TOL)
    for name in ("input", "weight", "bias"):
        args = {"input": op.uniform((4, 7)), "weight": op.uniform((5, 7)), "bias": op.uniform((5,))}
        args[name].flat[-1] = INF
        op.case(args)
    op = file.op("addmm", TOL)
    for beta in (0, 1):
        args = {"input": op.uniform((3, 5)), "mat1": op.uniform((3, 7)), "mat2": op.uniform((7, 5))}
        args["input"].flat[1] = NAN
        op.case(args, beta=beta)
    op = file.op("einsum", TOL)
    args = {"operands": [op.uniform((2, 3, 5)), op.uniform((2, 5, 4))]}
    args["operands"][1].flat[-1] = INF
    op.case(args, equation="bij,bjk->bik")
    op = file.op("outer", TOL)
    op.case({"input": np.float32([0, INF, 1]), "vec2": np.float32([INF, 0, NAN, 2])})
    op = file.op("scaled_dot_product_attention", TOL)
    masked = np.ones((5, 7), bool)
    masked[2, 3:] = False
    args = {"query": op.uniform((2, 5, 3)), "key": op.uniform((2, 7, 3)), "value": op.uniform((2, 7, 3))}
    op.case({**args, "attn_mask": masked})
    for name in args:
        spoilt = {**args, name: args[name].copy()}
        spoilt[name].flat[4] = INF
        op.case(spoilt)


def convolution_specials(file):
    def conv(name, shape, weight, *, spoil, attrs=None):
        op = file.op(name, TOL)
        for value in (INF, NAN):
            args = {"input": op.uniform(shape), "weight": op.uniform(weight)}
            args[spoil].flat[-1] = value
            # An infinite weight makes NaN of the input's gradient where grad is padded (see `conv2d`).
            op.case(args, constant=("input",) if spoil == "weight" else (), **(attrs or {}))

    for spoil in ("input", "weight"):
        conv("conv1d", (2, 3, 11), (5, 3, 3), spoil=spoil)
        conv("conv2d", (2, 3, 7, 9), (5, 3, 3, 3), spoil=spoil)
        conv("conv2d", (1, 3, 8, 12), (5, 3, 2, 3), spoil=spoil, attrs={"stride": [2, 3]})
        conv("conv2d", (2, 5, 7, 9), (5, 1, 3, 3), spoil=spoil, attrs={"groups": 5})
        conv("conv2d", (2, 5, 3, 7), (3, 5, 1, 1), spoil=spoil)
        conv("conv3d", (1, 3, 4, 5, 5), (2, 3, 2, 3, 3), spoil=spoil)
    conv("conv2d", (2, 3, 7, 9), (5, 3, 3, 3), spoil="input", attrs={"padding": 1})
    conv("conv2d", (2, 3, 7, 9), (4, 3, 3, 3), spoil="input", attrs={"padding": 2, "dilation": 2})
    conv("conv2d", (2, 5, 7, 9), (5, 1, 3, 3), spoil="input", attrs={"groups": 5, "padding": 1})
    conv("conv_transpose2d", (2, 3, 4, 5), (3, 5, 3, 3), spoil="input")


def window_specials(file):
    for name, attrs in [
        ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("avg_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("avg_pool2d", {"kernel_size": [2, 3], "ceil_mode": True}),
        ("adaptive_avg_pool2d", {"output_size": [3, 2]}),
        ("adaptive_max_pool2d", {"output_size": [3, 2]}),
        ("global_avg_pool", {}),
        ("unfold", {"kernel_size": 3, "padding": 1}),
        ("pad", {"pad": [1, 2, 1, 0]}),
        ("pad", {"pad": [1, 2, 1, 0], "mode": "reflect"}),
        ("interpolate", {"size": [9, 11], "mode": "nearest"}),
        ("interpolate", {"size": [4, 5], "mode": "area"}),
        ("interpolate", {"size": [9, 11], "mode": "bilinear"}),
        ("interpolate", {"size": [9, 11], "mode": "bicubic"}),
    ]:
        op = file.op(name, TOL)
        for x in spoiled(op, (1, 2, 5, 7)):
            op.case({"input": x}, tol=(1e-4, 1e-5) if attrs.get("mode") == "bicubic" else TOL, **attrs)
    op = file.op("lp_pool2d", TOL)
    for x in spoiled(op, (1, 2, 5, 7)):
        op.case({"input": x}, norm_type=2.0, kernel_size=2)
    op = file.op("grid_sample", (2e-5, 1e-5))
    for mode in ("bilinear", "nearest"):
        for padding in ("zeros", "border"):
            grid = op.uniform((1, 3, 4, 2), -0.9, 0.9)
            x = op.uniform((1, 2, 5, 7))
            x.flat[17] = INF
            op.case({"input": x, "grid": grid}, mode=mode, padding_mode=padding, align_corners=False)


def normalization_specials(file):
    for name, args, attrs in [
        ("layer_norm", {}, {"normalized_shape": [7]}),
        ("rms_norm", {}, {"normalized_shape": [7], "eps": 1e-6}),
        ("group_norm", {}, {"num_groups": 2}),
        ("batch_norm", {}, {"training": True}),
        ("instance_norm", {}, {}),
        ("local_response_norm", {}, {"size": 3}),
        ("normalize", {}, {"dim": 1}),
    ]:
        op = file.op(name, (1e-4, 1e-5))
        for x in spoiled(op, (3, 4, 7)):
            op.case({"input": x, **args}, **attrs)


def loss_specials(file):
    rows, classes = 5, 7
    elementwise = "mse_loss l1_loss smooth_l1_loss huber_loss kl_div soft_margin_loss poisson_nll_loss".split()
    for name in [*elementwise, "binary_cross_entropy_with_logits"]:
        op = file.op(name, TOL)
        for x in spoiled(op, (rows, classes)):
            target = op.uniform((rows, classes), 0.1, 0.9)
            if name == "soft_margin_loss":
                target = np.sign(target - 0.5)
            op.case({"input": x, "target": target}, reduction="none", constant=("target",))
    op = file.op("binary_cross_entropy", TOL)
    args = {"input": np.float32([0, 1, 0.5, 1, 0]), "target": np.float32([0, 1, 1, 0, 1])}
    op.case(args, reduction="none", constant=("target",))
    op = file.op("cross_entropy", TOL)
    for x in spoiled(op, (rows, classes)):
        for reduction in ("none", "mean"):
            op.case({"input": x, "target": op.index((rows,), classes)}, reduction=reduction)
    op.case({"input": np.float32([[MAX, 0, -MAX], [-INF, 0, 1]]), "target": np.int64([0, 1])}, reduction="none")
    op = file.op("nll_loss", TOL)
    for x in spoiled(op, (rows, classes)):
        op.case({"input": x, "target": op.index((rows,), classes)}, reduction="none")


def index_specials(file):
    x = np.float32([[NAN, 1, INF], [-INF, -0.0, DENORMAL], [MAX, 2, -MAX]])
    index = np.int64([[0, 2, 1], [2, 0, 0]])
    for name in ("gather",):
        file.op(name, TOL).case({"input": x, "index": index}, dim=1)
    file.op("index_select", TOL).case({"input": x, "index": np.int64([2, 0])}, dim=0)
    op = file.op("scatter_add", TOL)
    op.case({"input": x, "index": index, "src": np.float32([[1, INF, 1], [NAN, 1, 2]])}, dim=1)
    op = file.op("index_add", TOL)
    op.case({"input": x, "index": np.int64([1, 1]), "source": np.float32([[1, INF, 1], [NAN, 1, 2]])}, dim=0)
    op = file.op("embedding", TOL)
    op.case({"input": np.int64([2, 0, 2]), "weight": x})
    op = file.op("masked_select", TOL)
    op.case({"input": x, "mask": x == x})
    for name in ("tril", "triu"):
        file.op(name, TOL).case({"input": x})
    file.op("cat", TOL).case({"tensors": [x, x[:1]]}, dim=0)
    file.op("flip", TOL).case({"input": x}, dims=[0, 1])


FAMILIES = [
    pointwise_specials,
    reduction_specials,
    order_specials,
    product_specials,
    convolution_specials,
    window_specials,
    normalization_specials,
    loss_specials,
    index_specials,
]
