"""The rates of PyTorch's and timm's schedules, as the cases `lr_scheduler.NAME` want them."""

import torch
from timm.scheduler import CosineLRScheduler, PolyLRScheduler, StepLRScheduler
from torch.optim import lr_scheduler

# Closures that a case can hold: its `lr_lambda` is the base of a power.
CLOSURES = ("LambdaLR", "MultiplicativeLR")


def power(base):
    return lambda step: base**step


def make(optimizer, name, **attrs):
    """A schedule of PyTorch's for an optimizer."""
    kind = getattr(lr_scheduler, name)
    if name in CLOSURES:
        given = attrs["lr_lambda"]
        attrs["lr_lambda"] = [power(base) for base in given] if isinstance(given, list) else power(given)
    if name == "CyclicLR" and attrs.get("scale_fn") is not None:
        attrs["scale_fn"] = power(attrs["scale_fn"])
    if name in ("SequentialLR", "ChainedScheduler"):
        made = [make(optimizer, **inner) for inner in attrs.pop("schedulers")]
        return kind(made, optimizer) if name == "ChainedScheduler" else kind(optimizer, made, **attrs)
    return kind(optimizer, **attrs)


def timm_warmup(optimizer, scheduler, **attrs):
    """timm's schedule with a warm-up: each has one of its own."""
    inner = dict(scheduler)
    match inner.pop("name"):
        case "StepLR":
            return StepLRScheduler(optimizer, inner["step_size"], inner["gamma"], **attrs)
        case "CosineAnnealingLR":
            return CosineLRScheduler(optimizer, inner["T_max"], inner["eta_min"], **attrs)
        case "PolynomialLR":
            return PolyLRScheduler(optimizer, inner["total_iters"], inner["power"], **attrs)


def cycles_momentum(attrs):
    inner = attrs.get("schedulers", [])
    cycles = attrs["name"] in ("OneCycleLR", "CyclicLR") and attrs.get("cycle_momentum", True)
    return cycles or any(cycles_momentum(each) for each in inner)


def rates(name, base_lr, steps, metrics=None, **attrs):
    """The rates before each step, `[steps + 1, groups]`, and where they cycle the momenta likewise."""
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in base_lr]
    optimizer = torch.optim.SGD(groups, momentum=0.9)
    optimizer.step()
    if name == "CyclicLR":
        attrs["base_lr"] = base_lr
    scheduler = timm_warmup(optimizer, **attrs) if name == "LinearWarmup" else make(optimizer, name, **attrs)
    lrs, momenta = [], []
    for step in range(steps + 1):
        lrs.append([group["lr"] for group in optimizer.param_groups])
        momenta.append([group["momentum"] for group in optimizer.param_groups])
        if step == steps:
            break
        if name == "ReduceLROnPlateau":
            scheduler.step(metrics[step])
        elif name == "LinearWarmup":
            scheduler.step(step + 1)
        else:
            scheduler.step()
    lrs, momenta = torch.tensor(lrs, dtype=torch.float64), torch.tensor(momenta, dtype=torch.float64)
    return [lrs, momenta] if cycles_momentum({"name": name, **attrs}) else lrs
