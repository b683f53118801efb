"""Trajectories of PyTorch's and timm's optimizers, as the cases `optim.NAME` want them.

Lookahead and SAM are the papers' formulas (Zhang et al. 2019; Foret et al. 2021, Kwon et al. 2021), averages of weights are
`torch.optim.swa_utils`. Muon is PyTorch's without its bfloat16, which would leave two digits to compare.
"""

import timm.optim
import torch
import torch.optim._muon
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from schedules import make

TIMM = {"Lion": timm.optim.Lion, "LARS": timm.optim.Lars, "LAMB": timm.optim.Lamb}


def newton_schulz(grad, ns_coefficients, ns_steps, eps):
    """The nearest semi-orthogonal matrix, by ten steps or fewer of a polynomial of degree five (Jordan et al. 2024)."""
    a, b, c = ns_coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if grad.size(0) > grad.size(1) else x


torch.optim._muon._zeropower_via_newtonschulz = newton_schulz


def optimizer(name, groups, options):
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    if name == "Adafactor":
        # Of the type of the parameters that are trained, whatever type this is computed in.
        small, large = options.get("eps", (None, 1e-3))
        options["eps"] = (torch.finfo(torch.float32).eps if small is None else small, large)
    if name in TIMM:
        return TIMM[name](groups, foreach=False, **options)
    return getattr(torch.optim, name)(groups, **options)


class Lookahead:
    """Every k steps the slow weights go towards the fast ones, which go on from there."""

    def __init__(self, params, k=5, alpha=0.5):
        self.params, self.k, self.alpha, self.steps = params, k, alpha, 0
        self.slow = [p.detach().clone() for p in params]

    def stepped(self):
        self.steps += 1
        if self.steps % self.k == 0:
            for p, slow in zip(self.params, self.slow):
                slow += self.alpha * (p.detach() - slow)
                p.data.copy_(slow)


class Average:
    """EMA from the first step on, or SWA of what follows `start` steps."""

    def __init__(self, params, start=0, **average):
        self.start, self.steps = start, 0
        self.of = torch.nn.ParameterList(params)
        self.average = AveragedModel(self.of, **average)

    def stepped(self):
        if self.steps >= self.start:
            self.average.update_parameters(self.of)
        self.steps += 1


def climb(params, rho=0.05, adaptive=False):
    """SAM's way up, to where the gradient of a step is taken; returns the way back."""
    scaled = [p.detach().abs() * p.grad if adaptive else p.grad for p in params if p.grad is not None]
    norm = torch.stack([s.norm() for s in scaled]).norm() + 1e-12
    before = [p.detach().clone() for p in params]
    for p in params:
        if p.grad is not None:
            way = p.detach() ** 2 * p.grad if adaptive else p.grad
            p.data += rho * way / norm
    return before


def trajectory(
    name,
    param,
    grad,
    steps,
    groups=None,
    missing=(),
    clip_grad_norm=None,
    clip_grad_value=None,
    accumulate=1,
    lr_scheduler=None,
    wrap=(),
    **options,
):
    """The parameters after the last step, and their averages where they are averaged."""
    count, missing = len(param), {tuple(pair) for pair in missing}
    shapes = [p.shape for p in param]
    flat = (lambda x: x.flatten(1)) if name == "Muon" else lambda x: x
    params = [torch.nn.Parameter(flat(p.detach().clone())) for p in param]
    groups = [{"params": list(range(count))}] if groups is None else groups
    as_tuples = {"betas", "eps", "etas", "step_sizes", "ns_coefficients"}
    groups = [
        {key: tuple(value) if key in as_tuples and isinstance(value, list) else value for key, value in group.items()}
        | {"params": [params[k] for k in group["params"]]}
        for group in groups
    ]
    inner = optimizer(name, groups, options)
    scheduler = make(inner, **lr_scheduler) if lr_scheduler else None
    wrappers, sam = [], None
    for wrapper in wrap:
        kind, arguments = wrapper["name"], {key: value for key, value in wrapper.items() if key != "name"}
        match kind:
            case "Lookahead":
                wrappers.append(Lookahead(params, **arguments))
            case "EMA":
                wrappers.append(Average(params, multi_avg_fn=get_ema_multi_avg_fn(**arguments)))
            case "SWA":
                wrappers.append(Average(params, **arguments))
            case "SAM":
                sam = arguments

    def gradients(ts):
        inner.zero_grad()
        for t in ts:
            for k, p in enumerate(params):
                if (t, k) not in missing:
                    g = flat(grad[t * count + k])
                    p.grad = g.clone() if p.grad is None else p.grad + g

    # SAM takes the gradient of one t to climb, and that of the next to step.
    stride = 2 if sam is not None else accumulate
    for t in range(0, steps, stride):
        if sam is not None:
            gradients([t])
            before = climb(params, **sam)
            gradients([t + 1])
            for p, value in zip(params, before):
                p.data.copy_(value)
        else:
            gradients(range(t, t + stride))
        if clip_grad_norm is not None:
            clip_grad_norm_(params, clip_grad_norm)
        if clip_grad_value is not None:
            clip_grad_value_(params, clip_grad_value)
        inner.step()
        if scheduler:
            scheduler.step()
        for wrapper in wrappers:
            wrapper.stepped()
    results = [p.detach() for p in params]
    for wrapper in wrappers:
        if isinstance(wrapper, Average):
            results += [p.detach() for p in wrapper.average.module]
    return [result.reshape(shapes[k % count]) for k, result in enumerate(results)]
