"""Writes novelty.json: scores of novelty by PyTorch, their separation by scikit-learn, and a temperature by SciPy, in float64.

    python tests/golden/novelty.py

The network, its weights and the images are those of `robust.py`; logits and scores follow from their names.
"""

import json
import pathlib

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score, roc_curve

from from_names import fill, numbers
from robust import Net, images


def odin(net, x, temperature, eps):
    x = x.clone().requires_grad_()
    log_p = torch.log_softmax(net(x) / temperature, 1).max(1).values
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    return torch.softmax(net(x + eps * gradient.sign()) / temperature, 1).max(1).values


def main():
    net = Net().double().eval()
    fill(net)
    x = images()
    golden = {
        "max_softmax": torch.softmax(net(x), 1).max(1).values.tolist(),
        "energy": (2.5 * torch.logsumexp(net(x) / 2.5, 1)).tolist(),
        "odin": odin(net, x, 10.0, 0.02).tolist(),
    }
    inside, outside = numbers("inside", 200) + 0.8, 1.5 * numbers("outside", 150) - 0.2
    inside, outside = np.round(inside * 32) / 32 + 20, np.round(outside * 32) / 32 + 20
    truth, scores = np.r_[np.ones(200), np.zeros(150)], np.r_[inside, outside]
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    golden["separation"] = [roc_auc_score(truth, scores), fpr[np.argmax(tpr >= 0.95)]]

    logits = (6 * numbers("logits", 400 * 5).reshape(400, 5)).astype(np.float32).astype(np.float64)
    noisy = logits + 5 * numbers("doubt", 400 * 5).reshape(400, 5)
    labels = noisy.argmax(1)
    for name, factor in [("temperature", 1.0), ("temperature_of_unsure", 0.03125)]:
        own = logits * factor
        loss = lambda b: (logsumexp(b * own, axis=1) - b * own[np.arange(400), labels]).mean()
        found = minimize_scalar(loss, bracket=(0.01, 1.0), options={"xtol": 1e-12})
        golden[name] = 1 / found.x
    print(golden)
    path = pathlib.Path(__file__).with_name("novelty.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
