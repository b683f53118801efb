"""Trajectories of 25 steps on three parameters, in groups with rates of their own, with decay, clipping and schedules."""

import numpy as np

SHAPES = [(4, 3), (3,), (2, 2, 1, 2)]
MATRICES = [(4, 3), (2, 5), (2, 2, 1, 2)]  # Muon's
STEPS = 25
BETAS = {"betas": [0.8, 0.95]}
# Of the largest value of a parameter.
TOLERANCE = (0.0, 1e-5)


def trajectory(op, shapes=SHAPES, steps=STEPS, **attrs):
    """A case with gradients that are noise around a direction, so that parameters move and signs change."""
    params = [op.uniform(shape) for shape in shapes]
    ways = [op.uniform(shape, -0.3, 0.3) for shape in shapes]
    grads = [way + op.uniform(shape, -0.7, 0.7) for _ in range(steps) for way, shape in zip(ways, shapes)]
    op.case({"param": params, "grad": grads}, terms=0.0, grad=False, steps=steps, **attrs)


def settings(lr, decays=True, cycles=False):
    """Groups, clipping and schedules to go with the options of an optimizer."""
    small = {"params": [1], "lr": 0.3 * lr} | ({"weight_decay": 0.0} if decays else {})
    other = {"params": [2], "lr": 2.0 * lr} | ({"weight_decay": 0.2} if decays else {})
    two, three = [{"params": [0, 2]}, small], [{"params": [0]}, small, other]
    missing = [[0, 1], [3, 0], [3, 1], [10, 2], [24, 0]]
    one_cycle = {"name": "OneCycleLR", "max_lr": [lr, 0.5 * lr, 2.0 * lr], "total_steps": 30, "cycle_momentum": cycles}
    warmup = {"name": "LinearLR", "start_factor": 0.1, "total_iters": 8}
    falling = {"name": "ExponentialLR", "gamma": 0.9}
    return [
        {"groups": two, "clip_grad_norm": 1.0, "lr_scheduler": {"name": "StepLR", "step_size": 7, "gamma": 0.5}},
        {"groups": three, "clip_grad_value": 0.4, "lr_scheduler": {"name": "CosineAnnealingLR", "T_max": 25}},
        {"groups": two, "clip_grad_norm": 0.7, "lr_scheduler": falling, "missing": missing},
        {"groups": two, "accumulate": 5, "lr_scheduler": {"name": "LinearLR", "total_iters": 3}, "clip_grad_norm": 2.0},
        {"groups": three, "clip_grad_norm": 0.1, "lr_scheduler": one_cycle},
        {},
        {"groups": three, "clip_grad_value": 0.2, "missing": missing[:3], "lr_scheduler": {"name": "ConstantLR"}},
        {
            "groups": three,
            "clip_grad_norm": 1.5,
            "lr_scheduler": {"name": "SequentialLR", "schedulers": [warmup, falling], "milestones": [8]},
        },
    ]


def optimizer(file, name, lr, options, *, decays=True, cycles=(), shapes=SHAPES, counts_by_group=False):
    """A case for each of the options; `cycles` are the ones whose momentum may be cycled."""
    op = file.op(f"optim.{name}", TOLERANCE)
    for at, given in enumerate(options):
        setting = settings(lr, decays, at in cycles)[at % 8]
        if counts_by_group:
            setting.pop("missing", None)
        trajectory(op, shapes, **{"lr": lr} | given | setting)
    return op


def optim_sgd(file):
    optimizer(
        file,
        "SGD",
        0.1,
        [
            {"weight_decay": 0.1},
            {"momentum": 0.9},
            {"momentum": 0.9, "weight_decay": 0.05},
            {"momentum": 0.8, "nesterov": True},
            {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
            {},
            {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1},
            {"momentum": 0.7, "dampening": -0.2, "maximize": True},
        ],
        cycles=[4],
    )


def optim_adagrad(file):
    optimizer(
        file,
        "Adagrad",
        0.1,
        [
            {},
            {"lr_decay": 0.1},
            {"weight_decay": 0.1},
            {"initial_accumulator_value": 0.3},
            {"eps": 1e-2, "lr_decay": 0.02},
            {"lr_decay": 0.05, "weight_decay": 0.05, "initial_accumulator_value": 1.0},
            {"maximize": True},
            {"weight_decay": 0.3, "eps": 1e-6},
        ],
    )


def optim_adadelta(file):
    optimizer(
        file,
        "Adadelta",
        0.5,
        [
            {},
            {"rho": 0.5},
            {"weight_decay": 0.1},
            {"eps": 1e-3},
            {"rho": 0.95, "eps": 1e-4, "weight_decay": 0.01},
            {"lr": 1.0},
            {"rho": 0.8, "maximize": True},
            {"rho": 0.0, "eps": 1e-2},
        ],
    )


def optim_rmsprop(file):
    optimizer(
        file,
        "RMSprop",
        0.01,
        [
            {},
            {"momentum": 0.9},
            {"centered": True},
            {"centered": True, "momentum": 0.5},
            {"alpha": 0.9, "weight_decay": 0.1, "momentum": 0.9},
            {"eps": 1e-3, "alpha": 0.5},
            {"centered": True, "momentum": 0.8, "weight_decay": 0.05},
            {"alpha": 0.95, "maximize": True},
        ],
        cycles=[4],
    )


def optim_rprop(file):
    optimizer(
        file,
        "Rprop",
        0.01,
        [
            {},
            {"etas": [0.3, 1.5]},
            {"step_sizes": [1e-3, 0.05]},
            {"etas": [0.9, 1.1], "step_sizes": [0.005, 0.02]},
            {"maximize": True},
            {"etas": [0.5, 1.01]},
            {"step_sizes": [0.01, 0.01]},
            {"lr": 0.1, "etas": [0.1, 2.0], "step_sizes": [1e-5, 0.2]},
        ],
        decays=False,
    )


def optim_adam(file):
    optimizer(
        file,
        "Adam",
        0.02,
        [
            {"weight_decay": 0.1},
            BETAS,
            {"amsgrad": True},
            {"eps": 1e-3} | BETAS,
            {"amsgrad": True, "weight_decay": 0.05} | BETAS,
            {},
            {"maximize": True, "betas": [0.0, 0.9]},
            {"weight_decay": 0.2, "amsgrad": True, "eps": 1e-2},
        ],
        cycles=[4],
    )


def optim_adamw(file):
    optimizer(
        file,
        "AdamW",
        0.02,
        [
            {},
            {"weight_decay": 0.3} | BETAS,
            {"amsgrad": True},
            {"eps": 1e-3, "weight_decay": 0.0},
            {"amsgrad": True, "weight_decay": 0.1} | BETAS,
            {"weight_decay": 1.0},
            {"maximize": True, "betas": [0.5, 0.5]},
            {"weight_decay": 0.2, "amsgrad": True, "eps": 1e-2},
        ],
        cycles=[4],
    )


def optim_nadam(file):
    optimizer(
        file,
        "NAdam",
        0.02,
        [
            {},
            {"momentum_decay": 0.1},
            {"weight_decay": 0.1},
            {"weight_decay": 0.2, "decoupled_weight_decay": True} | BETAS,
            {"betas": [0.95, 0.99], "momentum_decay": 0.0},
            {"eps": 1e-3},
            {"maximize": True} | BETAS,
            {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.02},
        ],
        cycles=[4],
    )


def optim_radam(file):
    optimizer(
        file,
        "RAdam",
        0.02,
        [
            {},
            BETAS,
            {"weight_decay": 0.1},
            {"weight_decay": 0.2, "decoupled_weight_decay": True},
            {"betas": [0.9, 0.9]},
            {"eps": 1e-3, "betas": [0.7, 0.98]},
            {"maximize": True},
            {"weight_decay": 0.1, "decoupled_weight_decay": True} | BETAS,
        ],
        cycles=[4],
    )


def optim_adamax(file):
    optimizer(
        file,
        "Adamax",
        0.02,
        [
            {},
            BETAS,
            {"weight_decay": 0.1},
            {"eps": 1e-2},
            {"weight_decay": 0.2} | BETAS,
            {"betas": [0.0, 0.5]},
            {"maximize": True},
            {"weight_decay": 0.05, "eps": 1e-4},
        ],
        cycles=[4],
    )


def optim_lion(file):
    optimizer(
        file,
        "Lion",
        0.01,
        [
            {},
            BETAS,
            {"weight_decay": 0.3},
            {"weight_decay": 0.1} | BETAS,
            {"betas": [0.95, 0.98], "weight_decay": 0.1},
            {"betas": [0.5, 0.5]},
            {"maximize": True},
            {"weight_decay": 1.0},
        ],
        cycles=[4],
    )


def optim_lars(file):
    optimizer(
        file,
        "LARS",
        0.5,
        [
            {"weight_decay": 0.1, "trust_coeff": 0.1},
            {"momentum": 0.9, "weight_decay": 0.05, "trust_coeff": 0.02},
            {"momentum": 0.9, "always_adapt": True, "trust_coeff": 0.05},
            {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "trust_coeff": 0.05},
            {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "trust_coeff": 0.05},
            {"weight_decay": 0.1},
            {"trust_clip": True, "trust_coeff": 0.4, "weight_decay": 0.1, "momentum": 0.5},
            {"always_adapt": True, "eps": 1e-2, "trust_coeff": 0.1},
        ],
        cycles=[4],
    )


def optim_lamb(file):
    optimizer(
        file,
        "LAMB",
        0.02,
        [
            {},
            {"weight_decay": 0.2} | BETAS,
            {"weight_decay": 0.0, "always_adapt": True},
            {"max_grad_norm": None, "eps": 1e-3},
            {"grad_averaging": False} | BETAS,
            {"bias_correction": False, "max_grad_norm": 0.3},
            {"trust_clip": True, "weight_decay": 0.1},
            {"decoupled_decay": True, "weight_decay": 0.1},
        ],
        cycles=[4],
        counts_by_group=True,
    )


def optim_adafactor(file):
    optimizer(
        file,
        "Adafactor",
        0.05,
        [
            {},
            {"beta2_decay": -0.5},
            {"weight_decay": 0.1},
            {"d": 1.5},
            {"d": 2.0, "weight_decay": 0.05},
            {"eps": [1e-6, 1e-2]},
            {"maximize": True},
            {"eps": [None, 0.1], "beta2_decay": -0.9},
        ],
    )


def optim_muon(file):
    optimizer(
        file,
        "Muon",
        0.02,
        [
            {},
            {"momentum": 0.8, "weight_decay": 0.0},
            {"nesterov": False},
            {"adjust_lr_fn": "match_rms_adamw"},
            {"ns_steps": 3, "weight_decay": 0.3},
            {"adjust_lr_fn": "original", "eps": 1e-3},
            {"ns_coefficients": [2.0, -1.5, 0.5], "ns_steps": 8},
            {"momentum": 0.5, "nesterov": False, "weight_decay": 0.2},
        ],
        cycles=[4],
        shapes=MATRICES,
    )


# Optimizers inside others.
INNER = [
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("AdamW", {"lr": 0.02}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("SGD", {"lr": 0.2, "weight_decay": 0.1}),
]


def optim_wrapped(file):
    """Lookahead and averages of weights."""
    wraps = [
        *([{"name": "Lookahead", "k": k, "alpha": alpha}] for k, alpha in [(5, 0.5), (3, 0.8), (1, 0.5), (6, 0.2)]),
        *([{"name": "EMA", "decay": decay}] for decay in (0.99, 0.9, 0.5, 0.0)),
        *([{"name": "SWA", "start": start}] for start in (5, 0, 20, 24)),
        [{"name": "Lookahead", "k": 5, "alpha": 0.5}, {"name": "EMA", "decay": 0.9}],
        [{"name": "Lookahead", "k": 4, "alpha": 0.7}, {"name": "SWA", "start": 5}],
    ]
    for at, wrap in enumerate(wraps * 2):
        name, options = INNER[(at + at // len(wraps)) % len(INNER)]
        setting = settings(options["lr"])[at % 8]
        trajectory(file.op(f"optim.{name}", TOLERANCE), wrap=wrap, **options | setting)


def optim_sam(file):
    """SAM, which takes two gradients a step."""
    climbs = [
        {"rho": 0.05},
        {"rho": 0.5},
        {"rho": 0.1, "adaptive": True},
        {"rho": 2.0, "adaptive": True},
        {},
        {"rho": 0.2},
        {"rho": 0.01},
        {"rho": 1.0, "adaptive": True},
    ]
    for at, climb in enumerate(climbs):
        name, options = INNER[at % len(INNER)]
        setting = settings(options["lr"])[at % 8]
        setting = {key: value for key, value in setting.items() if key not in ("accumulate", "missing")}
        wrap = [{"name": "SAM"} | climb]
        trajectory(file.op(f"optim.{name}", TOLERANCE), steps=2 * STEPS, wrap=wrap, **options | setting)


FAMILIES = [
    optim_sgd,
    optim_adagrad,
    optim_adadelta,
    optim_rmsprop,
    optim_rprop,
    optim_adam,
    optim_adamw,
    optim_nadam,
    optim_radam,
    optim_adamax,
    optim_lion,
    optim_lars,
    optim_lamb,
    optim_adafactor,
    optim_muon,
    optim_wrapped,
    optim_sam,
]
