"""Convolutions."""

from harness import INF, NAN, POINTWISE, sum_tolerance


def conv_tolerance(args, outputs):
    """The tolerance for a convolution, from the longest of the sums in it and its gradients."""
    x, w, y = args["input"], args["weight"], outputs[0]
    per_weight = max(y.numel() // max(y.shape[1], 1), x.numel() // max(x.shape[1], 1))
    return sum_tolerance(max(w[0].numel(), w[:, 0].numel() if w.shape[1] else 0, per_weight))


def filters(op, x, w, outputs):
    """Random input and weight, and a bias where there are `outputs` of them."""
    named = {"input": op.uniform(x), "weight": op.uniform(w, -0.5, 0.5)}
    return named | ({"bias": op.uniform((outputs,))} if outputs else {})


def conv2d(file):
    op = file.op("conv2d", conv_tolerance)

    def args(x, w, bias):
        return filters(op, x, w, w[0] if bias else 0)

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

    # zeros and infinities, and no channels
    zeros = args((1, 2, 4, 4), (3, 2, 2, 2), True)
    op.case(zeros | {"input": zeros["input"] * 0})
    op.case(zeros | {"weight": zeros["weight"] * 0}, padding=1)
    infinite = args((1, 1, 4, 5), (1, 1, 2, 2), False)
    infinite["input"][0, 0, 1, 1], infinite["input"][0, 0, 3, 4] = INF, NAN
    op.case(infinite, grad=False)
    op.case({"input": op.uniform((2, 0, 4, 4)), "weight": op.uniform((3, 0, 2, 2)), "bias": op.uniform((3,))})

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


def conv1d(file):
    op = file.op("conv1d", conv_tolerance)
    for x, w, attrs in [
        ((2, 3, 7), (4, 3, 3), {}),
        ((1, 1, 1), (1, 1, 1), {}),
        ((1, 1, 2), (1, 1, 2), {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
        ((2, 3, 11), (4, 3, 3), {"stride": 2}),
        ((2, 3, 13), (4, 3, 2), {"stride": [5]}),  # elements that no window sees
        ((2, 3, 7), (4, 3, 3), {"padding": 1}),
        ((2, 3, 7), (4, 3, 3), {"padding": [3], "stride": [2]}),
        ((1, 2, 3), (3, 2, 3), {"padding": 5}),  # outputs that see padding only
        ((1, 2, 1), (3, 2, 3), {"padding": 1}),
        ((2, 3, 7), (4, 3, 3), {"padding": "valid", "stride": 3}),
        ((2, 3, 7), (4, 3, 3), {"padding": "same"}),
        ((2, 3, 7), (4, 3, 4), {"padding": "same"}),  # more padding at the end
        ((2, 3, 7), (4, 3, 2), {"padding": "same", "dilation": 3}),
        ((2, 4, 6), (4, 2, 4), {"padding": "same", "dilation": 2, "groups": 2}),
        ((2, 3, 11), (4, 3, 3), {"dilation": 2}),
        ((2, 3, 17), (4, 3, 4), {"dilation": [3], "stride": [2], "padding": [4]}),
        ((2, 4, 9), (6, 2, 3), {"groups": 2}),
        ((1, 6, 11), (9, 2, 5), {"groups": 3, "stride": 2, "padding": 2}),
        ((2, 5, 13), (5, 1, 3), {"groups": 5, "padding": 1}),  # depthwise
        ((2, 4, 13), (8, 1, 3), {"groups": 4, "stride": 2}),
        ((1, 3, 19), (3, 1, 5), {"groups": 3, "dilation": 3, "padding": 6}),
        ((2, 13, 11), (7, 13, 1), {}),
        ((2, 5, 9), (3, 5, 1), {"stride": 4}),
        ((2, 3, 7), (4, 3, 7), {}),  # a kernel as large as the input
        ((2, 3, 5), (4, 3, 7), {"padding": 1}),
        ((3, 7), (4, 3, 3), {}),  # no batch
        ((4, 8), (4, 1, 3), {"groups": 4, "padding": "same"}),
        ((0, 3, 7), (4, 3, 3), {}),
        ((0, 4, 7), (4, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
        ((2, 0, 5), (3, 0, 3), {}),  # no channels
        ((2, 1, 101), (6, 1, 17), {"stride": 4, "padding": 8}),
    ]:
        op.case(filters(op, x, w, w[0]), **attrs)
        op.case(filters(op, x, w, 0), **attrs)
    for x, w, attrs in [
        ((1, 3, 5), (2, 4, 3), {}),  # channels
        ((1, 4, 5), (3, 2, 3), {"groups": 2}),
        ((1, 4, 5), (4, 4, 3), {"groups": 0}),
        ((1, 3, 4), (2, 3, 5), {}),  # kernel larger than the padded input
        ((1, 3, 4), (2, 3, 3), {"dilation": 2}),
        ((1, 3, 5), (2, 3, 3), {"stride": 0}),
        ((1, 3, 5), (2, 3, 3), {"dilation": [0]}),
        ((1, 3, 5), (2, 3, 3), {"padding": -1}),
        ((1, 3, 5), (2, 3, 3), {"padding": "same", "stride": 2}),
        ((1, 3, 5), (2, 3, 3), {"padding": "full"}),
        ((1, 3, 5), (2, 3, 3), {"stride": [1, 1]}),
        ((1, 3, 0), (2, 3, 3), {"padding": 2}),  # empty
        ((1, 3, 5), (0, 3, 3), {}),
        ((1, 3, 5), (2, 3, 0), {}),
        ((5,), (2, 3, 3), {}),  # ranks
        ((1, 3, 5, 5), (2, 3, 3), {}),
        ((1, 3, 5), (2, 3), {}),
    ]:
        op.raises(filters(op, x, w, 0), **attrs)
    op.raises(filters(op, (1, 3, 5), (2, 3, 3), 3))


def conv3d(file):
    op = file.op("conv3d", conv_tolerance)
    for x, w, attrs in [
        ((2, 2, 4, 3, 5), (3, 2, 2, 3, 2), {}),
        ((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), {}),
        ((1, 1, 2, 2, 2), (1, 1, 2, 2, 2), {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}),
        ((1, 2, 5, 5, 5), (3, 2, 2, 2, 2), {"stride": 2}),
        ((1, 2, 5, 4, 6), (3, 2, 3, 2, 3), {"stride": [1, 2, 3]}),
        ((1, 2, 7, 3, 3), (2, 2, 2, 1, 2), {"stride": [3, 1, 1]}),  # depths that no window sees
        ((1, 2, 3, 4, 3), (3, 2, 3, 3, 3), {"padding": 1}),
        ((1, 2, 4, 3, 5), (3, 2, 3, 2, 3), {"padding": [2, 0, 1], "stride": [2, 1, 2]}),
        ((1, 1, 1, 2, 2), (2, 1, 3, 3, 3), {"padding": 3}),  # outputs that see padding only
        ((1, 2, 1, 1, 1), (3, 2, 3, 3, 3), {"padding": 1}),
        ((1, 2, 4, 4, 4), (2, 2, 2, 3, 2), {"padding": "valid", "stride": [2, 1, 1], "dilation": [1, 1, 2]}),
        ((1, 2, 3, 4, 3), (2, 2, 3, 3, 3), {"padding": "same"}),
        ((1, 2, 4, 3, 5), (2, 2, 2, 4, 2), {"padding": "same"}),  # more padding at the end
        ((1, 2, 5, 4, 3), (2, 2, 2, 2, 3), {"padding": "same", "dilation": [3, 1, 2]}),
        ((1, 2, 5, 5, 5), (2, 2, 2, 2, 2), {"dilation": 2}),
        ((1, 2, 7, 5, 4), (2, 2, 3, 2, 2), {"dilation": [3, 2, 1], "padding": [2, 1, 0], "stride": [2, 1, 1]}),
        ((1, 4, 3, 4, 3), (6, 2, 2, 2, 2), {"groups": 2}),
        ((1, 3, 4, 3, 4), (3, 1, 3, 2, 3), {"groups": 3, "padding": 1}),  # depthwise
        ((1, 2, 4, 3, 3), (4, 1, 2, 2, 2), {"groups": 2, "stride": [2, 1, 1]}),
        ((1, 4, 4, 3, 3), (4, 2, 3, 2, 1), {"groups": 2, "padding": "same"}),
        ((2, 5, 2, 3, 2), (3, 5, 1, 1, 1), {}),
        ((2, 3, 3, 3, 3), (2, 3, 1, 1, 1), {"stride": 2}),
        ((2, 2, 5, 2, 3), (3, 2, 3, 1, 1), {"padding": [1, 0, 0], "stride": [2, 1, 1]}),  # along one dimension
        ((2, 2, 3, 5, 2), (3, 2, 1, 3, 1), {"padding": [0, 1, 0]}),
        ((2, 2, 3, 2, 5), (3, 2, 1, 1, 3), {"dilation": [1, 1, 2]}),
        ((2, 2, 3, 4, 4), (3, 2, 1, 3, 3), {"padding": [1, 0, 0]}),
        ((1, 2, 1, 4, 4), (3, 2, 1, 3, 3), {"padding": [0, 1, 1]}),
        ((1, 2, 3, 4, 2), (2, 2, 3, 4, 2), {}),  # a kernel as large as the input
        ((2, 3, 3, 3), (2, 2, 2, 2, 2), {}),  # no batch
        ((3, 3, 2, 3), (3, 1, 2, 2, 2), {"groups": 3, "padding": "same"}),
        ((0, 2, 3, 3, 3), (3, 2, 2, 2, 2), {}),
        ((0, 2, 3, 3, 3), (2, 1, 3, 3, 3), {"groups": 2, "padding": 1, "stride": 2}),
        ((1, 0, 3, 3, 3), (2, 0, 2, 2, 2), {}),  # no channels
    ]:
        op.case(filters(op, x, w, w[0]), **attrs)
        op.case(filters(op, x, w, 0), **attrs)
    for x, w, attrs in [
        ((1, 3, 3, 3, 3), (2, 4, 2, 2, 2), {}),  # channels
        ((1, 4, 3, 3, 3), (3, 2, 2, 2, 2), {"groups": 2}),
        ((1, 4, 3, 3, 3), (4, 4, 2, 2, 2), {"groups": 0}),
        ((1, 2, 2, 3, 3), (2, 2, 3, 2, 2), {}),  # kernel larger than the padded input
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"dilation": [3, 1, 1]}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"stride": [0, 1, 1]}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"dilation": 0}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"padding": [0, -1, 0]}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"padding": "same", "stride": [2, 1, 1]}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {"stride": [1, 1]}),
        ((1, 2, 0, 3, 3), (2, 2, 2, 2, 2), {"padding": 2}),  # empty
        ((1, 2, 3, 3, 3), (2, 2, 0, 2, 2), {}),
        ((3, 3, 3), (2, 3, 2, 2, 2), {}),  # ranks
        ((1, 1, 2, 3, 3, 3), (2, 2, 2, 2, 2), {}),
        ((1, 2, 3, 3, 3), (2, 2, 2, 2), {}),
    ]:
        op.raises(filters(op, x, w, 0), **attrs)
    op.raises(filters(op, (1, 2, 3, 3, 3), (2, 2, 2, 2, 2), 3))


def conv_transpose1d(file):
    op = file.op("conv_transpose1d", conv_tolerance)
    for x, w, attrs in [
        ((2, 3, 7), (3, 4, 3), {}),
        ((1, 1, 1), (1, 1, 1), {}),
        ((1, 1, 1), (1, 2, 5), {"stride": 3}),
        ((2, 3, 5), (3, 2, 3), {"stride": 2}),
        ((2, 3, 5), (3, 2, 2), {"stride": [4]}),  # gaps between the taps
        ((2, 3, 5), (3, 2, 5), {"stride": [3]}),
        ((2, 3, 7), (3, 4, 3), {"padding": 1}),
        ((2, 3, 7), (3, 4, 5), {"padding": [4]}),
        ((2, 3, 2), (3, 4, 5), {"padding": 2}),
        ((2, 2, 5), (2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((2, 2, 5), (2, 3, 2), {"stride": [5], "output_padding": [4]}),
        ((1, 2, 3), (2, 3, 2), {"dilation": [4], "output_padding": [3]}),
        ((1, 2, 5), (2, 3, 4), {"dilation": 2}),
        ((1, 2, 5), (2, 3, 4), {"dilation": 3, "stride": 2, "padding": 3, "output_padding": 2}),
        ((2, 2, 5), (2, 3, 1), {"dilation": 2, "output_padding": 1}),  # a dilation with no taps to part
        ((2, 4, 5), (4, 3, 3), {"groups": 2}),
        ((2, 4, 5), (4, 1, 3), {"groups": 4, "stride": 2, "padding": 1}),
        ((2, 5, 11), (5, 1, 3), {"groups": 5, "padding": 1}),
        ((2, 3, 5), (3, 2, 3), {"groups": 3}),
        ((1, 6, 7), (6, 2, 4), {"groups": 2, "stride": 2, "padding": 1}),
        ((3, 7), (3, 5, 3), {"stride": 2}),  # no batch
        ((4, 5), (4, 1, 2), {"groups": 4}),
        ((0, 3, 4), (3, 2, 3), {}),
        ((0, 4, 4), (4, 2, 3), {"stride": 2, "groups": 2, "output_padding": 1}),
        ((1, 13, 7), (13, 11, 1), {}),
        ((2, 3, 5), (3, 2, 1), {"stride": 3}),
        ((2, 3, 5), (3, 2, 1), {"padding": 2}),
        ((2, 3, 13), (3, 2, 17), {"padding": 8}),
        ((1, 2, 101), (2, 1, 16), {"stride": 8, "padding": 4}),
        ((2, 17, 3), (17, 2, 2), {"stride": 2}),
    ]:
        op.case(filters(op, x, w, w[1] * attrs.get("groups", 1)), **attrs)
        op.case(filters(op, x, w, 0), **attrs)
    for x, w, attrs in [
        ((2, 3, 4), (4, 2, 3), {}),
        ((2, 3, 4), (3, 2, 3), {"groups": 2}),
        ((2, 3, 4), (3, 2, 3), {"groups": 0}),
        ((2, 3, 4), (3, 2, 3), {"output_padding": 1}),
        ((2, 3, 4), (3, 2, 3), {"output_padding": -1}),
        ((2, 3, 4), (3, 2, 3), {"stride": 2, "output_padding": [2]}),
        ((2, 3, 4), (3, 2, 3), {"padding": 4}),
        ((2, 3, 4), (3, 2, 3), {"padding": -1}),
        ((2, 3, 4), (3, 2, 3), {"stride": 0}),
        ((2, 3, 4), (3, 2, 3), {"dilation": 0}),
        ((2, 3, 4), (3, 2, 3), {"stride": [1, 1]}),
        ((2, 3, 0), (3, 2, 3), {}),
        ((2, 3, 4), (3, 0, 3), {}),
        ((4,), (3, 2, 3), {}),
        ((2, 3, 4, 4), (3, 2, 3), {}),
    ]:
        op.raises(filters(op, x, w, 0), **attrs)
    op.raises(filters(op, (2, 3, 4), (3, 2, 3), 3))


def conv_transpose3d(file):
    op = file.op("conv_transpose3d", conv_tolerance)
    for x, w, attrs in [
        ((2, 3, 3, 2, 4), (3, 2, 2, 3, 2), {}),
        ((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), {}),
        ((1, 1, 1, 1, 1), (1, 2, 3, 2, 3), {"stride": 3}),
        ((1, 2, 2, 3, 2), (2, 3, 2, 2, 3), {"stride": 2}),
        ((1, 2, 3, 2, 2), (2, 3, 2, 3, 2), {"stride": [3, 1, 2]}),
        ((1, 2, 2, 2, 2), (2, 2, 2, 1, 2), {"stride": [4, 3, 2]}),  # gaps between the taps
        ((1, 2, 3, 3, 2), (2, 3, 3, 3, 3), {"padding": 1}),
        ((1, 2, 3, 2, 3), (2, 3, 4, 3, 2), {"padding": [2, 1, 0], "stride": [1, 2, 1]}),
        ((1, 2, 2, 3, 2), (2, 3, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((1, 2, 2, 2, 2), (2, 2, 2, 2, 2), {"stride": [3, 2, 1], "output_padding": [2, 1, 0]}),
        ((1, 2, 2, 2, 2), (2, 2, 2, 2, 2), {"dilation": [3, 1, 2], "output_padding": [2, 0, 1]}),
        ((1, 2, 3, 2, 3), (2, 2, 3, 2, 2), {"dilation": 2}),
        ((1, 2, 3, 2, 2), (2, 2, 3, 2, 2), {"dilation": [2, 1, 1], "stride": [3, 1, 1], "padding": [2, 0, 0]}),
        ((1, 2, 3, 2, 2), (2, 2, 1, 2, 2), {"dilation": [2, 1, 1], "output_padding": [1, 0, 0]}),
        ((1, 4, 2, 3, 2), (4, 3, 2, 2, 2), {"groups": 2}),
        ((1, 4, 3, 2, 3), (4, 1, 2, 2, 2), {"groups": 4, "stride": 2, "padding": 1}),
        ((1, 3, 3, 3, 3), (3, 1, 3, 3, 3), {"groups": 3, "padding": 1}),
        ((1, 3, 2, 2, 3), (3, 2, 2, 3, 2), {"groups": 3}),
        ((2, 3, 2, 3), (2, 3, 2, 2, 2), {"stride": 2}),  # no batch
        ((3, 2, 2, 2), (3, 1, 2, 2, 2), {"groups": 3}),
        ((0, 2, 3, 2, 2), (2, 3, 2, 2, 2), {}),
        ((0, 2, 3, 2, 2), (2, 1, 2, 2, 2), {"groups": 2, "stride": 2, "output_padding": 1}),
        ((1, 5, 2, 3, 2), (5, 7, 1, 1, 1), {}),
        ((2, 2, 3, 2, 3), (2, 3, 3, 1, 1), {"stride": [2, 1, 1], "padding": [1, 0, 0]}),  # along one dimension
        ((2, 2, 3, 3, 2), (2, 3, 1, 3, 1), {"padding": [0, 1, 0]}),
        ((2, 2, 3, 2, 3), (2, 3, 1, 1, 3), {"stride": [1, 1, 2]}),
        ((2, 2, 3, 3, 3), (2, 3, 1, 2, 2), {"stride": [2, 1, 1], "output_padding": [1, 0, 0]}),
        ((1, 2, 1, 3, 3), (2, 3, 1, 2, 2), {"stride": 2}),
        ((1, 2, 1, 2, 2), (2, 3, 3, 2, 2), {"padding": [1, 0, 0]}),
        ((1, 2, 5, 1, 1), (2, 2, 4, 1, 2), {"stride": [1, 1, 1], "padding": [3, 0, 0]}),
        ((1, 7, 2, 2, 2), (7, 2, 2, 2, 2), {"stride": 2}),
    ]:
        op.case(filters(op, x, w, w[1] * attrs.get("groups", 1)), **attrs)
        op.case(filters(op, x, w, 0), **attrs)
    for x, w, attrs in [
        ((1, 3, 2, 2, 2), (4, 2, 2, 2, 2), {}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"groups": 2}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"output_padding": [1, 0, 0]}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"output_padding": [0, -1, 0]}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"padding": [2, 0, 0]}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"padding": -1}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"stride": [0, 1, 1]}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"dilation": 0}),
        ((1, 3, 2, 2, 2), (3, 2, 2, 2, 2), {"stride": [1, 1]}),
        ((1, 3, 0, 2, 2), (3, 2, 2, 2, 2), {}),
        ((3, 2, 2), (3, 2, 2, 2, 2), {}),
        ((1, 3, 2, 2), (3, 2, 2, 2), {}),
    ]:
        op.raises(filters(op, x, w, 0), **attrs)
    op.raises(filters(op, (1, 3, 2, 2, 2), (3, 2, 2, 2, 2), 3))


def unfold(file):
    op = file.op("unfold", POINTWISE)
    for x, attrs in [
        ((2, 3, 5, 7), {"kernel_size": 3}),
        ((1, 1, 1, 1), {"kernel_size": 1}),
        ((2, 3, 5, 7), {"kernel_size": [2, 3]}),
        ((2, 3, 5, 7), {"kernel_size": [1, 4], "stride": 2}),
        ((1, 2, 7, 5), {"kernel_size": 2, "stride": [3, 1]}),  # rows that no window sees
        ((1, 2, 7, 8), {"kernel_size": 2, "stride": 2}),
        ((1, 2, 3, 4), {"kernel_size": 3, "padding": 1}),
        ((1, 2, 3, 4), {"kernel_size": [3, 2], "padding": [2, 0]}),
        ((1, 1, 2, 2), {"kernel_size": 2, "padding": 4}),  # windows of padding
        ((1, 1, 1, 1), {"kernel_size": 3, "padding": 1}),
        ((1, 2, 7, 7), {"kernel_size": 3, "dilation": 2}),
        ((1, 2, 9, 6), {"kernel_size": [3, 2], "dilation": [3, 4]}),
        ((2, 2, 9, 8), {"kernel_size": [2, 3], "dilation": [2, 1], "padding": [1, 2], "stride": [3, 2]}),
        ((1, 2, 5, 7), {"kernel_size": [5, 7]}),
        ((1, 2, 5, 7), {"kernel_size": [5, 1]}),
        ((1, 2, 5, 7), {"kernel_size": [1, 7], "padding": [0, 3]}),
        ((3, 5, 4), {"kernel_size": 2}),  # no batch
        ((3, 5, 4), {"kernel_size": [2, 3], "padding": 1, "stride": 2}),
        ((0, 2, 4, 4), {"kernel_size": 3}),
        ((0, 2, 4, 4), {"kernel_size": 3, "padding": 1, "stride": 2}),
        ((2, 13, 2, 3), {"kernel_size": 1}),
        ((1, 2, 11, 13), {"kernel_size": [5, 4], "stride": [4, 5]}),
    ]:
        op.case({"input": op.uniform(x)}, **attrs)
    special = op.uniform((1, 1, 3, 3))
    special[0, 0, 1] = [INF, NAN, -INF]
    op.case({"input": special}, grad=False, kernel_size=2, padding=1)
    op.case({"input": op.bools((1, 2, 4, 3))}, grad=False, kernel_size=[2, 1], padding=1)
    for x, attrs in [
        ((1, 2, 4, 4), {"kernel_size": 5}),
        ((1, 2, 4, 4), {"kernel_size": 3, "dilation": 2}),
        ((1, 2, 4, 4), {"kernel_size": 0}),
        ((1, 2, 4, 4), {"kernel_size": 2, "stride": 0}),
        ((1, 2, 4, 4), {"kernel_size": 2, "dilation": [1, 0]}),
        ((1, 2, 4, 4), {"kernel_size": 2, "padding": -1}),
        ((1, 2, 4, 4), {"kernel_size": [2]}),
        ((1, 2, 4, 4), {"kernel_size": [2, 2, 2]}),
        ((1, 0, 4, 4), {"kernel_size": 2}),
        ((1, 2, 0, 4), {"kernel_size": 2, "padding": 2}),
        ((4, 4), {"kernel_size": 2}),
        ((1, 1, 2, 4, 4), {"kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(x)}, **attrs)
    op.raises({"input": op.index((1, 2, 4, 4), 5)}, kernel_size=2)


def fold(file):
    op = file.op("fold", POINTWISE)
    for x, attrs in [
        ((2, 27, 15), {"output_size": [5, 7], "kernel_size": 3}),
        ((1, 1, 1), {"output_size": 1, "kernel_size": 1}),
        ((2, 12, 20), {"output_size": [5, 7], "kernel_size": [2, 3]}),
        ((2, 12, 6), {"output_size": [5, 7], "kernel_size": [1, 4], "stride": 2}),
        ((1, 8, 8), {"output_size": [7, 5], "kernel_size": 2, "stride": [3, 1]}),  # rows of zeros
        ((1, 8, 12), {"output_size": [7, 8], "kernel_size": 2, "stride": 2}),
        ((1, 18, 12), {"output_size": [3, 4], "kernel_size": 3, "padding": 1}),
        ((1, 12, 15), {"output_size": [3, 4], "kernel_size": [3, 2], "padding": [2, 0]}),
        ((1, 4, 81), {"output_size": 2, "kernel_size": 2, "padding": 4}),
        ((1, 9, 1), {"output_size": 1, "kernel_size": 3, "padding": 1}),
        ((1, 18, 9), {"output_size": 7, "kernel_size": 3, "dilation": 2}),
        ((1, 12, 6), {"output_size": [9, 6], "kernel_size": [3, 2], "dilation": [3, 4]}),
        (
            (2, 12, 15),
            {"output_size": [9, 8], "kernel_size": [2, 3], "dilation": [2, 1], "padding": [1, 2], "stride": [3, 2]},
        ),
        ((1, 70, 1), {"output_size": [5, 7], "kernel_size": [5, 7]}),
        ((1, 10, 7), {"output_size": [5, 7], "kernel_size": [5, 1]}),
        ((1, 14, 35), {"output_size": [5, 7], "kernel_size": [1, 7], "padding": [0, 3]}),
        ((12, 12), {"output_size": [5, 4], "kernel_size": 2}),  # no batch
        ((18, 6), {"output_size": [5, 4], "kernel_size": [2, 3], "padding": 1, "stride": 2}),
        ((0, 18, 4), {"output_size": 4, "kernel_size": 3}),
        ((0, 18, 4), {"output_size": 4, "kernel_size": 3, "padding": 1, "stride": 2}),
        ((2, 13, 6), {"output_size": [2, 3], "kernel_size": 1}),
        ((1, 40, 4), {"output_size": [11, 13], "kernel_size": [5, 4], "stride": [4, 5]}),
    ]:
        op.case({"input": op.uniform(x)}, **attrs)
    special = op.uniform((1, 4, 4))
    special[0, 0, 1], special[0, 1, 2], special[0, 3, 0] = INF, NAN, -INF
    op.case({"input": special}, grad=False, output_size=3, kernel_size=2)
    for x, attrs in [
        ((1, 12, 8), {"output_size": 4, "kernel_size": 2}),  # another number of windows
        ((1, 12, 10), {"output_size": 4, "kernel_size": 2}),
        ((1, 13, 9), {"output_size": 4, "kernel_size": 2}),
        ((1, 25, 1), {"output_size": 4, "kernel_size": 5}),
        ((1, 12, 9), {"output_size": 4, "kernel_size": 0}),
        ((1, 12, 9), {"output_size": 4, "kernel_size": 2, "stride": 0}),
        ((1, 12, 9), {"output_size": 4, "kernel_size": 2, "dilation": 0}),
        ((1, 12, 9), {"output_size": 4, "kernel_size": 2, "padding": -1}),
        ((1, 12, 9), {"output_size": [4], "kernel_size": 2}),
        ((1, 0, 9), {"output_size": 4, "kernel_size": 2}),
        ((1, 12, 0), {"output_size": 4, "kernel_size": 2}),
        ((12,), {"output_size": 4, "kernel_size": 2}),
        ((1, 1, 12, 9), {"output_size": 4, "kernel_size": 2}),
    ]:
        op.raises({"input": op.uniform(x)}, **attrs)
    op.raises({"input": op.index((1, 12, 9), 5)}, output_size=4, kernel_size=2)


def conv_transpose2d(file):
    op = file.op("conv_transpose2d", conv_tolerance)

    def args(x, w, bias, groups=1):
        return filters(op, x, w, w[1] * groups if bias else 0)

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
        ((1, 2, 7, 11), (2, 3, 5, 3), {"stride": [1, 2], "padding": [2, 1], "dilation": [1, 2]}),
        ((2, 2, 5, 1), (2, 3, 1, 4), {"dilation": [2, 1], "output_padding": [1, 0]}),
        ((2, 2, 3, 4), (2, 3, 1, 1), {"stride": 3, "padding": 1}),
        ((1, 2, 2, 3), (2, 1, 4, 4), {"stride": 2, "padding": 1}),
        ((1, 6, 4, 3), (6, 2, 4, 2), {"groups": 2, "stride": [2, 1], "padding": [1, 0]}),
        ((4, 5, 5), (4, 1, 2, 2), {"groups": 4}),
        ((0, 4, 3, 3), (4, 2, 3, 3), {"groups": 2, "stride": 2, "output_padding": 1}),
        ((1, 2, 4, 4), (2, 3, 3, 3), {"dilation": 3, "stride": 2, "padding": 3, "output_padding": 2}),
        ((1, 17, 2, 3), (17, 2, 2, 2), {"stride": 2}),
    ]:
        op.case(args(x, w, True, attrs.get("groups", 1)), **attrs)
        op.case(args(x, w, False), **attrs)
    op.raises(args((2, 3, 4, 4), (4, 2, 3, 3), False))
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), groups=2)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), output_padding=1)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), padding=4)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), stride=0)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), dilation=[1, 0])
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), padding=-1)
    op.raises(args((2, 3, 4, 4), (3, 2, 3, 3), False), output_padding=-1)
    op.raises(args((2, 3, 0, 4), (3, 2, 3, 3), False))
    op.raises(args((4, 4), (3, 2, 3, 3), False))
    op.raises({"input": op.uniform((2, 3, 4, 4)), "weight": op.uniform((3, 2, 3, 3)), "bias": op.uniform((3,))})


FAMILIES = [
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
]
