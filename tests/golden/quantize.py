"""Writes quantize.json: levels and fake quantization by PyTorch's kernels, sums of bytes by ONNX Runtime's.

    python tests/golden/quantize.py

Inputs follow from their names (`from_names.py`). Weights are at most 64, since ONNX Runtime's kernels for processors without
VNNI add up pairs of products in 16 bits.
"""

import json
import pathlib
import warnings

import numpy
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from from_names import fill, numbers

warnings.filterwarnings("ignore")


def floats(name, shape, scale):
    count = int(numpy.prod(shape))
    return (scale * torch.tensor(numbers(name, count), dtype=torch.float64)).float().reshape(shape)


def integers(name, shape, most):
    count = int(numpy.prod(shape))
    return numpy.floor(numpy.array(numbers(name, count)) * most).astype(numpy.int64).reshape(shape)


def rounding():
    # Halves among others: multiples of an eighth of scales that are powers of two, and of scales that are none.
    x = torch.cat([torch.arange(-40, 41) / 8, floats("rounded", [200], 6.0)])
    rows = []
    for scale, point, low, high in [(0.25, 0, -8, 7), (0.1, 3, -128, 127), (0.0371, -100, -128, 127), (1.0, 2, -3, 4)]:
        leaf = x.clone().requires_grad_()
        fake = torch.fake_quantize_per_tensor_affine(leaf, scale, point, low, high)
        fake.sum().backward()
        quantized = torch.quantize_per_tensor(x, scale, point, torch.qint8)
        rows.append({
            "scale": scale, "zero_point": point, "quant_min": low, "quant_max": high,
            "fake": fake.tolist(), "gradient": leaf.grad.tolist(),
            "bytes": quantized.int_repr().tolist(), "dequantized": quantized.dequantize().tolist(),
        })
    return {"x": x.tolist(), "calls": rows}


def channels():
    scales, points = [0.02, 0.3, 0.0625, 0.5], [0, -5, 127, 3]
    x = floats("channels", [3, 4, 5], 4.0)
    leaf = x.clone().requires_grad_()
    fake = torch.fake_quantize_per_channel_affine(
        leaf, torch.tensor(scales), torch.tensor(points, dtype=torch.int32), 1, -128, 127
    )
    fake.sum().backward()
    quantized = torch.quantize_per_channel(
        x, torch.tensor(scales, dtype=torch.float64), torch.tensor(points), 1, torch.qint8
    )
    return {
        "scales": scales, "zero_points": points, "fake": fake.flatten().tolist(),
        "gradient": leaf.grad.flatten().tolist(), "bytes": quantized.int_repr().flatten().tolist(),
    }


def run(node, inputs):
    """One operation of int8 tensors."""
    names = {numpy.dtype("int8"): TensorProto.INT8, numpy.dtype("int32"): TensorProto.INT32,
             numpy.dtype("float32"): TensorProto.FLOAT}
    listed = [helper.make_tensor_value_info(name, names[value.dtype], value.shape) for name, value in inputs.items()]
    output = helper.make_tensor_value_info("y", TensorProto.INT8, None)
    model = helper.make_model(helper.make_graph([node], "g", listed, [output]), opset_imports=[helper.make_opsetid("", 21)])
    model.ir_version = 10
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def convolution(name, image, weight, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    outputs = weight[0]
    scales = [0.011 + 0.0007 * o for o in range(outputs)]
    inputs = {
        "x": integers(name + ".x", image, 127).astype(numpy.int8), "x_scale": numpy.array(0.021),
        "x_zero_point": numpy.array(-17), "w": integers(name + ".w", weight, 64), "w_scale": numpy.array(scales),
        "w_zero_point": numpy.zeros(outputs), "y_scale": numpy.array(0.09), "y_zero_point": numpy.array(12),
        "bias": integers(name + ".bias", [outputs], 3000),
    }
    kinds = {"scale": numpy.float32, "bias": numpy.int32}
    kind = lambda key: next((kinds[part] for part in kinds if part in key), numpy.int8)
    inputs = {key: numpy.asarray(value, kind(key)) for key, value in inputs.items()}
    node = helper.make_node("QLinearConv", list(inputs), ["y"], strides=stride, pads=[*padding, *padding],
                            dilations=dilation, group=groups)
    y = run(node, inputs)
    return {"name": name, "image": image, "weight": weight, "stride": stride, "padding": padding, "dilation": dilation,
            "groups": groups, "scales": scales, "bytes": y.flatten().tolist()}


def fused():
    """A convolution with a batch norm in it, in float64."""
    conv = torch.nn.Conv2d(3, 4, 3, dtype=torch.float64)
    norm = torch.nn.BatchNorm2d(4, dtype=torch.float64)
    net = torch.nn.Sequential(conv, norm)
    fill(net)
    weight, bias = torch.nn.utils.fusion.fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    return {"weight": weight.flatten().tolist(), "bias": bias.tolist()}


def main():
    golden = {
        "fused": fused(),
        "rounding": rounding(),
        "channels": channels(),
        "convolutions": [
            convolution("plain", [2, 5, 7, 6], [6, 5, 3, 3]),
            convolution("padded", [1, 8, 5, 5], [4, 8, 3, 3], padding=(1, 2)),
            convolution("strided", [1, 4, 9, 8], [5, 4, 3, 2], stride=(2, 3), padding=(1, 1), dilation=(2, 1)),
            convolution("groups", [1, 8, 5, 5], [12, 4, 3, 3], padding=(1, 1), groups=2),
            convolution("odd_groups", [1, 6, 5, 5], [9, 2, 3, 3], padding=(1, 1), groups=3),
            convolution("depthwise", [2, 6, 6, 6], [6, 1, 3, 3], stride=(2, 2), padding=(1, 1), groups=6),
            convolution("pointwise", [2, 19, 3, 3], [8, 19, 1, 1]),
            convolution("linear", [7, 37, 1, 1], [10, 37, 1, 1]),
        ],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
