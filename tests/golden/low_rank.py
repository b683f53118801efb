"""Makes `low_rank.json`: NumPy's singular values, and what layers of truncated weights compute in PyTorch.

    OMP_NUM_THREADS=1 python tests/golden/low_rank.py > tests/golden/low_rank.json
"""

import json

import numpy as np
import torch

from from_names import numbers, value

torch.set_default_dtype(torch.float64)


def truncated(matrix, rank):
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    energy = float((values[:rank] ** 2).sum() / (values**2).sum())
    return (left[:, :rank] * values[:rank]) @ right[:rank], energy, values


def rank_of(matrix, share):
    values = np.linalg.svd(matrix, compute_uv=False) ** 2
    return int(np.argmax(np.cumsum(values) >= share * values.sum())) + 1


def convolution(scheme, rank, stride, padding, dilation):
    """The output of a convolution of 3 x 5 whose weight is of this rank, by a scheme."""
    outputs, inputs, height, width = 8, 6, 3, 5
    weight = value("conv.weight", (outputs, inputs, height, width)).numpy()
    if scheme == "spatial":
        matrix = weight.transpose(1, 2, 0, 3).reshape(inputs * height, outputs * width)
    else:
        matrix = weight.reshape(outputs, -1)
    if isinstance(rank, float):
        rank = rank_of(matrix, rank)
    low, energy, _ = truncated(matrix, rank)
    if scheme == "spatial":
        low = low.reshape(inputs, height, outputs, width).transpose(2, 0, 1, 3)
    low = torch.from_numpy(np.ascontiguousarray(low.reshape(outputs, inputs, height, width)))
    x = torch.from_numpy(numbers("image", 2 * inputs * 9 * 10)).reshape(2, inputs, 9, 10)
    y = torch.nn.functional.conv2d(x, low, value("conv.bias", (outputs,)), stride, padding, dilation)
    return {"rank": rank, "energy": energy, "shape": list(y.shape), "output": y.flatten()[::7].tolist()}


def linear(rank):
    matrix = value("fc.weight", (12, 20)).numpy()
    if isinstance(rank, float):
        rank = rank_of(matrix, rank)
    low, energy, _ = truncated(matrix, rank)
    x = torch.from_numpy(numbers("row", 3 * 20)).reshape(3, 20)
    y = torch.nn.functional.linear(x, torch.from_numpy(low), value("fc.bias", (12,)))
    return {"rank": rank, "energy": energy, "output": y.flatten().tolist()}


def main():
    golden = {"convolutions": [], "linears": [linear(rank) for rank in (1, 4, 0.5, 0.8)]}
    for scheme in ("spatial", "channel"):
        for rank in (2, 5, 0.6):
            for stride, padding, dilation in [((1, 1), (1, 2), (1, 1)), ((2, 1), (0, 3), (1, 2)), ((1, 3), (2, 0), (2, 1))]:
                made = convolution(scheme, rank, stride, padding, dilation)
                options = {"scheme": scheme, "asked": rank, "stride": stride, "padding": padding, "dilation": dilation}
                golden["convolutions"].append({**options, **made})
    print(json.dumps(golden))


main()
