"""Writes `grad_scaler.json`: the scales of PyTorch's `GradScaler` over scripted steps, some of which meet infinities.

    venv/bin/python grad_scaler.py
"""

import json
from pathlib import Path

import torch

OPTIONS = [
    {"init_scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 3},
    {"init_scale": 1000.0, "growth_factor": 1.5, "backoff_factor": 0.25, "growth_interval": 1},
    {"init_scale": 2.0**126, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2},
    {"init_scale": 8.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000},
]
FOUND = [0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]


def scales(options):
    scaler = torch.amp.GradScaler("cpu", **options)
    parameter = torch.nn.Parameter(torch.zeros(2))
    sgd = torch.optim.SGD([parameter], lr=1.0)
    values = []
    for found in FOUND:
        scaler.scale(torch.zeros(()))
        parameter.grad = torch.tensor([0.0, float("inf") if found else 1.0])
        scaler.step(sgd)
        scaler.update()
        values.append(scaler.get_scale())
    return values


cases = [{"options": options, "found": FOUND, "scales": scales(options)} for options in OPTIONS]
lines = ",\n".join(json.dumps(case) for case in cases)
(Path(__file__).parent / "grad_scaler.json").write_text(f"[\n{lines}\n]\n")
