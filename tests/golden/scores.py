"""Metrics by the names of case files: torchmetrics', and scikit-learn's where torchmetrics has none."""

import sklearn.metrics
import torch
import torchmetrics.functional

import measures


def flattened(results):
    """Tensors in the order of nested tuples and lists."""
    if isinstance(results, (tuple, list)):
        return [tensor for result in results for tensor in flattened(result)]
    return [results]


def metric(name):
    """The function of `metrics.NAME`."""
    if name in OWN:
        return OWN[name]
    if name in measures.OWN:
        return measures.OWN[name]
    function = getattr(torchmetrics.functional, name, None) or getattr(torchmetrics.functional.classification, name)
    return lambda **args: flattened(function(**args))


def balanced_accuracy_score(preds, target, task="binary", num_classes=None):
    score = sklearn.metrics.balanced_accuracy_score(target.numpy(), preds.numpy())
    return torch.tensor(score, dtype=torch.float32)


def log_loss(preds, target, task, num_classes=2):
    labels = list(range(num_classes))
    loss = sklearn.metrics.log_loss(target.numpy(), preds.float().numpy(), labels=labels)
    return torch.tensor(loss, dtype=torch.float32)


OWN = {"balanced_accuracy_score": balanced_accuracy_score, "log_loss": log_loss}
