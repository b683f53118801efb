"""The work list in PyTorch, eager, f32: on CUDA where there is any (TF32 off, cuDNN's benchmark on), else on the CPU
with a thread per processor. Arguments and output are those of the other programs; see ../README.md."""

import argparse
import itertools
import json
import os
import statistics
import sys
import time

START = time.perf_counter()

import torch  # noqa: E402 (importing it is part of what a process start costs)
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

RUN_SECONDS = 0.1
MOST_CALLS = 50
WARM_UP = 3

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")


def normal(*shape):
    return torch.randn(shape, device=DEVICE)


def matmul(size):
    a, b = normal(size, size), normal(size, size)
    return lambda: a @ b


def conv(x, w, **options):
    x, w = normal(*x), normal(*w)
    return lambda: F.conv2d(x, w, **options)


def max_pool():
    x = normal(16, 64, 32, 32)
    return lambda: F.max_pool2d(x, 2)


def softmax():
    x = normal(1024, 1000)
    return lambda: F.softmax(x, 1)


def layer_norm():
    x, weight, bias = normal(1024, 1000), normal(1000), normal(1000)
    return lambda: F.layer_norm(x, (1000,), weight, bias)


def batch_norm():
    x, layer = normal(16, 64, 32, 32), nn.BatchNorm2d(64).to(DEVICE)
    return lambda: layer(x)


def relu_mul_add():
    a, b, c = (normal(2048, 2048) for _ in range(3))
    return lambda: torch.relu(a * b + c)


def conv3x3(inputs, outputs):
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def cifar_cnn():
    return nn.Sequential(
        *conv3x3(3, 32), *conv3x3(32, 32), nn.MaxPool2d(2),
        *conv3x3(32, 64), *conv3x3(64, 64), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 8 * 8, 512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


def conv_bn(inputs, outputs, kernel, stride):
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.residual = nn.Sequential(conv_bn(inputs, outputs, 3, stride), nn.ReLU(), conv_bn(outputs, outputs, 3, 1))
        self.shortcut = conv_bn(inputs, outputs, 1, stride) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return torch.relu(self.residual(x) + self.shortcut(x))


def resnet18():
    stages = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [BasicBlock(*stage) for stage in [*stages, (512, 512, 1)]]
    return nn.Sequential(
        conv_bn(3, 64, 3, 1), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)
    )


def mobilenet_v1():
    layers = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    network, inputs = [conv_bn(3, 32, 3, 2), nn.ReLU()], 32
    for outputs, stride in layers:
        depthwise = nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False)
        network += [depthwise, nn.BatchNorm2d(inputs), nn.ReLU(), conv_bn(inputs, outputs, 1, 1), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*network, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


class UNet(nn.Module):
    def __init__(self, depth=3, width=16):
        super().__init__()
        twice = lambda inputs, outputs: nn.Sequential(*conv3x3(inputs, outputs), *conv3x3(outputs, outputs))  # noqa: E731
        widths = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(twice(*sizes) for sizes in zip([3, *widths], widths[:-1]))
        self.bottom = twice(*widths[-2:])
        self.doubled = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.up = nn.ModuleList(twice(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        skipped = []
        for down in self.down:
            skipped.append(down(x))
            x = F.max_pool2d(skipped[-1], 2)
        x = self.bottom(x)
        for doubled, up in zip(self.doubled, self.up):
            x = up(torch.cat([skipped.pop(), doubled(x)], 1))
        return self.head(x)


def step(network, *images):
    """A training step on a batch that stays on the device: forward, cross entropy, backward, Adam."""
    network = network().to(DEVICE)
    images = normal(*images)
    with torch.no_grad():
        classes, *places = network(images[:1]).shape[1:]
    labels = torch.randint(classes, (len(images), *places), device=DEVICE)
    adam = torch.optim.Adam(network.parameters())

    def call():
        adam.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        adam.step()

    return call


ITEMS = {
    "matmul_256": lambda: matmul(256),
    "matmul_512": lambda: matmul(512),
    "matmul_1024": lambda: matmul(1024),
    "conv3x3_stride1": lambda: conv((16, 64, 32, 32), (64, 64, 3, 3), padding=1),
    "conv3x3_stride2": lambda: conv((16, 64, 32, 32), (128, 64, 3, 3), padding=1, stride=2),
    "conv1x1": lambda: conv((16, 64, 32, 32), (256, 64, 1, 1)),
    "conv3x3_depthwise": lambda: conv((16, 64, 32, 32), (64, 1, 3, 3), padding=1, groups=64),
    "conv3x3_dilation2": lambda: conv((16, 32, 32, 32), (32, 32, 3, 3), padding=2, dilation=2),
    "max_pool2x2": max_pool,
    "softmax": softmax,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "relu_mul_add": relu_mul_add,
    "lenet5_step": lambda: step(lenet5, 64, 1, 28, 28),
    "cifar_cnn_step": lambda: step(cifar_cnn, 64, 3, 32, 32),
}
# What takes too long to run unless the filter asks for it.
LONG_ITEMS = {
    "resnet18_step": lambda: step(resnet18, 128, 3, 32, 32),
    "mobilenet_v1_step": lambda: step(mobilenet_v1, 128, 3, 64, 64),
    "unet_step": lambda: step(UNet, 32, 3, 64, 64),
}


def sync():
    if CUDA:
        torch.cuda.synchronize()


def timed(call, calls):
    start = time.perf_counter()
    for _ in range(calls):
        call()
    sync()
    return (time.perf_counter() - start) * 1e3 / calls


def max_bytes(prepare):
    """The most that tensors held, from making the inputs to the end of the third call."""
    if CUDA:
        return torch.cuda.max_memory_allocated()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call = prepare()
        for _ in range(3):
            call()
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))
    return max(held, default=0)


def measure(name, prepare, runs, paced):
    call = prepare()
    sync()
    first = timed(call, 1)
    since_start = (time.perf_counter() - START) * 1e3
    warm = min(timed(call, 1) for _ in range(WARM_UP))
    calls = int(min(max(RUN_SECONDS * 1e3 / warm, 1), MOST_CALLS))
    times = []
    for _ in range(runs):
        if paced:
            print("ready", flush=True)
            sys.stdin.readline()
        times.append(timed(call, calls))
    line = {
        "peer": "pytorch",
        "name": name,
        "start_ms": round(since_start, 3),
        "first_ms": round(first, 3),
        "median_ms": round(statistics.median(times), 4),
        "min_ms": round(min(times), 4),
        "runs": runs,
        "calls": calls,
    }
    if CUDA or name.endswith("_step"):
        line["max_bytes"] = max_bytes(prepare)
    print(json.dumps(line), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", help="only work items whose name contains this")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--paced", action="store_true", help="before each run say `ready` and wait for a line")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    for name, prepare in (ITEMS if arguments.filter is None else {**ITEMS, **LONG_ITEMS}).items():
        if arguments.filter is None or arguments.filter in name:
            measure(name, prepare, arguments.runs, arguments.paced)


if __name__ == "__main__":
    main()
