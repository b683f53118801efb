"""Writes recognition.json: a convolutional recurrent network for text, for `tests/training/recognition.rs`.

    python tests/golden/recognition.py

The network is written after the paper's table (Shi, Bai and Yao 2015), with the names of the PyTorch version that most
published weights are of.
"""

import json
import pathlib

import torch
from torch import nn

from from_names import names
from network_runs import runs

LABELS = torch.tensor([[1, 2, 2], [3, 4, 1]])
LENGTHS = torch.tensor([3, 1])


class Bidirectional(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=True)
        self.embedding = nn.Linear(2 * hidden, outputs)

    def forward(self, x):
        return self.embedding(self.rnn(x)[0])


class Crnn(nn.Module):
    def __init__(self, channels, classes, hidden, width):
        super().__init__()
        table = [
            ("conv", width, 3), ("pool", (2, 2)), ("conv", 2 * width, 3), ("pool", (2, 2)), ("norm", 4 * width, 3),
            ("conv", 4 * width, 3), ("pool", (2, 1)), ("norm", 8 * width, 3), ("conv", 8 * width, 3), ("pool", (2, 1)),
            ("norm", 8 * width, 2),
        ]
        self.cnn = nn.Sequential()
        convolutions = poolings = 0
        inputs = channels
        for kind, *what in table:
            if kind == "pool":
                stride, = what
                self.cnn.add_module(f"pooling{poolings}", nn.MaxPool2d(2, stride, (0, 2 - stride[1])))
                poolings += 1
                continue
            outputs, size = what
            self.cnn.add_module(f"conv{convolutions}", nn.Conv2d(inputs, outputs, size, 1, size // 2 if size == 3 else 0))
            if kind == "norm":
                self.cnn.add_module(f"batchnorm{convolutions}", nn.BatchNorm2d(outputs))
            self.cnn.add_module(f"relu{convolutions}", nn.ReLU())
            convolutions, inputs = convolutions + 1, outputs
        self.rnn = nn.Sequential(Bidirectional(inputs, hidden, hidden), Bidirectional(hidden, hidden, classes))

    def forward(self, images):
        return self.rnn(self.cnn(images).squeeze(2).permute(2, 0, 1))


def ctc(outputs):
    lengths = torch.full((outputs[0].shape[1],), outputs[0].shape[0])
    return nn.functional.ctc_loss(outputs[0].log_softmax(2), LABELS, lengths, LENGTHS)


def main():
    torch.manual_seed(0)
    variants = {"crnn": names(Crnn(1, 37, 256, 64))}
    # A width for which no rectifier decides about less than float32 computes.
    shape = (2, 3, 32, 38)
    case = {"shape": shape, **runs(Crnn(3, 5, 6, 4), shape, ctc)}
    print({mode: case[mode]["f32"] for mode in ("eval", "train")}, flush=True)
    path = pathlib.Path(__file__).with_name("recognition.json")
    path.write_text(json.dumps({"variants": variants, "cases": {"crnn": case}}, separators=(",", ":")) + "\n")


main()
