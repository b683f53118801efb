"""Convolutions."""

from harness import sum_tolerance


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


FAMILIES = [conv2d, conv_transpose2d]
