"""Makes `clustering.json`: scikit-learn's k-means, a textbook Huffman code, and PyTorch's training of shared weights.

    OMP_NUM_THREADS=1 python tests/golden/clustering.py > tests/golden/clustering.json
"""

import heapq
import json

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import nn

from from_names import fill, numbers

torch.set_default_dtype(torch.float64)


def k_means(values, count):
    """Lloyd's algorithm from centres that lie evenly between the extremes."""
    first = np.linspace(values.min(), values.max(), count).reshape(-1, 1)
    found = KMeans(count, init=first, n_init=1, max_iter=100, tol=0, algorithm="lloyd").fit(values.reshape(-1, 1))
    assert all((found.labels_ == label).any() for label in range(count)), "a centre without values"
    return found.cluster_centers_.flatten(), found.labels_


def huffman_bits(counts):
    """The bits of a text in its Huffman code: the sum of the weights of all inner nodes."""
    heap = [count for count in counts if count]
    heapq.heapify(heap)
    if len(heap) == 1:
        return heap[0]
    bits = 0
    while len(heap) > 1:
        joint = heapq.heappop(heap) + heapq.heappop(heap)
        bits += joint
        heapq.heappush(heap, joint)
    return bits


class Net(nn.Module):
    """The network of `tests/training/clustering.rs`."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 5, 3, padding=1)
        self.fc = nn.Linear(5 * 36, 4)


def forward(net, conv, fc, x):
    x = torch.tanh(nn.functional.conv2d(x, conv, net.conv.bias, padding=1))
    return nn.functional.linear(x.flatten(1), fc, net.fc.bias)


def trained(make):
    """The shared values of both layers after four steps, in which each centre is a parameter."""
    net = Net()
    fill(net)
    layers = []
    for layer, count in ((net.conv, 6), (net.fc, 6)):
        centres, labels = k_means(layer.weight.detach().flatten().numpy(), count)
        layers.append((nn.Parameter(torch.from_numpy(centres)), torch.from_numpy(labels).long(), layer.weight.shape))
    optimizer = make([layers[0][0], net.conv.bias, layers[1][0], net.fc.bias])
    x = torch.from_numpy(numbers("clustered", 3 * 2 * 36)).reshape(3, 2, 6, 6)
    labels = torch.tensor([1, 0, 3])
    for _ in range(4):
        optimizer.zero_grad()
        conv, fc = [centres[labels].reshape(shape) for centres, labels, shape in layers]
        nn.functional.cross_entropy(forward(net, conv, fc, x), labels).backward()
        optimizer.step()
    return [centres.tolist() for centres, _, _ in layers]


def main():
    golden = {"k_means": [], "huffman": []}
    for name, count, size in (("a", 4, 300), ("b", 16, 2000), ("c", 32, 5000), ("d", 5, 400)):
        # Cubes are dense about 0, as weights are.
        values = numbers(name, size) ** 3
        if name == "d":
            # What pruning leaves: the centre in the middle has no values at first.
            values = np.sign(values) * (0.5 + 0.5 * np.abs(values))
        centres, labels = k_means(values, count)
        counts = np.bincount(labels, minlength=count).tolist()
        golden["k_means"].append({"name": name, "size": size, "centres": centres.tolist(), "counts": counts})
    for counts in [[5], [1, 1], [0, 7, 0, 2], [45, 13, 12, 16, 9, 5], [1, 2, 4, 8, 16, 32, 64], [3] * 9]:
        golden["huffman"].append({"counts": counts, "bits": huffman_bits(counts)})
    for found in golden["k_means"]:
        golden["huffman"].append({"counts": found["counts"], "bits": huffman_bits(found["counts"])})
    golden["sgd"] = trained(lambda p: torch.optim.SGD(p, 2**-5, momentum=0.875))
    golden["adam"] = trained(lambda p: torch.optim.Adam(p, 2**-5, (0.875, 1 - 2**-10), 2**-27))
    print(json.dumps(golden))


main()
