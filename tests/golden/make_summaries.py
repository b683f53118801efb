"""Tables of networks by torchinfo: rows, numbers of parameters, multiply-adds and bytes.

    python make_summaries.py

writes summaries.json. Needs torch, torchvision and torchinfo. A layer of torchinfo counts its biases and norms among its
multiply-adds, so each row has the numbers of its weight and bias too.
"""

import json
import pathlib

import torch
import torchinfo
import torchvision
from torch import nn


def lenet():
    net = nn.Sequential()
    for name, layer in [
        ("conv1", nn.Conv2d(1, 6, 5, padding=2)), ("relu1", nn.ReLU()), ("pool1", nn.MaxPool2d(2)),
        ("conv2", nn.Conv2d(6, 16, 5)), ("relu2", nn.ReLU()), ("pool2", nn.MaxPool2d(2)), ("flatten", nn.Flatten()),
        ("fc1", nn.Linear(400, 120)), ("relu3", nn.ReLU()), ("fc2", nn.Linear(120, 84)), ("relu4", nn.ReLU()),
        ("fc3", nn.Linear(84, 10)),
    ]:
        net.add_module(name, layer)
    return net


def mobilenet(width=0.25):
    def rectified(inputs, outputs, size, stride, groups):
        conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    features, inputs = [nn.Sequential(*rectified(3, int(32 * width), 3, 2, 1))], int(32 * width)
    for channels, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]:
        outputs = int(channels * width)
        features.append(nn.Sequential(*rectified(inputs, inputs, 3, stride, inputs), *rectified(inputs, outputs, 1, 1, 1)))
        inputs = outputs
    net = nn.Sequential()
    net.add_module("features", nn.Sequential(*features))
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flatten", nn.Flatten())
    net.add_module("classifier", nn.Linear(inputs, 10))
    return net


def table(net, size):
    summary = torchinfo.summary(net, size, depth=9, verbose=0)
    rows = []
    names = {id(module): name for name, module in net.named_modules()}
    for layer in summary.summary_list:
        own = dict(layer.module.named_parameters(recurse=False))
        rows.append({
            "name": names[layer.layer_id] if layer.layer_id in names else names[id(layer.module)],
            "type": layer.class_name,
            "output": list(layer.output_size),
            "parameters": sum(p.numel() for p in own.values()),
            "mult_adds": layer.macs if layer.is_leaf_layer else 0,
            "bias": own["bias"].numel() if own.get("bias") is not None else 0,
        })
    return {
        "input": list(size),
        "rows": rows,
        "parameters": summary.total_params,
        "mult_adds": summary.total_mult_adds,
        "activation_bytes": summary.total_output_bytes,
        "parameter_bytes": summary.total_param_bytes,
    }


tables = {
    "LeNet5": table(lenet(), (2, 1, 28, 28)),
    "MobileNetV1": table(mobilenet(), (2, 3, 64, 64)),
    "ResNet18": table(torchvision.models.resnet18(), (1, 3, 224, 224)),
}
lines = ",\n".join(f'"{name}": {json.dumps(table)}' for name, table in tables.items())
pathlib.Path(__file__).with_name("summaries.json").write_text("{" + lines + "}\n")
