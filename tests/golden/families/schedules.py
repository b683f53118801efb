"""Learning-rate schedules, over 200 steps."""

import numpy as np

GROUPS = [[0.1], [0.1, 0.003], [1.0, 0.05, 2e-4]]
# Of the same double-precision arithmetic, in another order at most.
RATES = (1e-12, 1e-15)


def schedules(file):
    def schedule(name, *options, groups=GROUPS, steps=200, raising=()):
        op = file.op(f"lr_scheduler.{name}", RATES)
        for at, attrs in enumerate(options):
            op.case({}, base_lr=groups[at % len(groups)], steps=steps, **attrs)
        for attrs in raising:
            op.raises({}, **{"base_lr": groups[0], "steps": steps} | attrs)

    schedule(
        "StepLR",
        {"step_size": 30},
        {"step_size": 7, "gamma": 0.9},
        {"step_size": 1, "gamma": 0.97},
        {"step_size": 250, "gamma": 0.5},
        raising=[{"step_size": 0}],
    )
    schedule(
        "MultiStepLR",
        {"milestones": [30, 80]},
        {"milestones": [5, 5, 90, 120], "gamma": 0.3},
        {"milestones": [0, 10], "gamma": 0.5},
        {"milestones": [90, 10, 50], "gamma": 0.7},
        {"milestones": [300]},
    )
    schedule("ExponentialLR", {"gamma": 0.95}, {"gamma": 1.01}, {"gamma": 0.5})
    schedule(
        "PolynomialLR",
        {},
        {"total_iters": 150},
        {"total_iters": 180, "power": 2.0},
        {"total_iters": 300, "power": 0.9},
        {"total_iters": 200, "power": 0.5},
    )
    schedule(
        "ConstantLR",
        {},
        {"factor": 0.5, "total_iters": 20},
        {"factor": 1.0, "total_iters": 1},
        {"factor": 0.1, "total_iters": 300},
        raising=[{"factor": 1.5}, {"factor": -0.1}, {"factor": 0}],
    )
    schedule(
        "LinearLR",
        {},
        {"start_factor": 0.1, "total_iters": 50},
        {"start_factor": 1.0, "end_factor": 0.01, "total_iters": 150},
        {"start_factor": 0.9, "end_factor": 0.0, "total_iters": 100},
        {"start_factor": 1e-4, "end_factor": 1.0, "total_iters": 300},
        raising=[{"start_factor": 0}, {"start_factor": 2}, {"end_factor": 2}, {"end_factor": -1}],
    )
    schedule(
        "CosineAnnealingLR",
        {"T_max": 200},
        {"T_max": 50, "eta_min": 1e-5},
        {"T_max": 33, "eta_min": 1e-4},
        {"T_max": 1},
        {"T_max": 7, "eta_min": 0.5},
    )
    schedule(
        "CosineAnnealingWarmRestarts",
        {"T_0": 50},
        {"T_0": 10, "T_mult": 2},
        {"T_0": 7, "T_mult": 3, "eta_min": 1e-4},
        {"T_0": 1, "T_mult": 2},
        {"T_0": 1},
        raising=[{"T_0": 0}, {"T_0": 5, "T_mult": 0}],
    )
    schedule(
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 200},
        {"max_lr": [0.5, 0.1], "total_steps": 220, "anneal_strategy": "linear"},
        {"max_lr": 0.1, "total_steps": 200, "three_phase": True, "pct_start": 0.4},
        {"max_lr": 0.1, "epochs": 20, "steps_per_epoch": 12, "div_factor": 5.0, "final_div_factor": 100.0},
        {"max_lr": 0.1, "total_steps": 201, "cycle_momentum": False},
        {"max_lr": 0.3, "total_steps": 200, "base_momentum": [0.8, 0.7, 0.6], "max_momentum": [0.99, 0.9, 0.8]},
        {"max_lr": 0.3, "total_steps": 200, "pct_start": 0.0},
        {"max_lr": 0.3, "total_steps": 201, "pct_start": 0.99},
        raising=[
            {"max_lr": 0.3, "total_steps": 200, "pct_start": 1.0},
            {"max_lr": 0.1, "total_steps": 199},
            {"max_lr": 0.1, "total_steps": 0},
            {"max_lr": 0.1},
            {"max_lr": [0.1, 0.2], "total_steps": 200},
            {"max_lr": 0.1, "total_steps": 200, "pct_start": 1.5},
            {"max_lr": 0.1, "total_steps": 200, "anneal_strategy": "cubic"},
        ],
    )
    schedule(
        "CyclicLR",
        {"max_lr": 0.5, "step_size_up": 20},
        {"max_lr": [0.5, 0.1], "step_size_up": 15, "step_size_down": 40},
        {"max_lr": 2.0, "step_size_up": 10, "mode": "triangular2"},
        {"max_lr": 0.5, "step_size_up": 25, "mode": "exp_range", "gamma": 0.99},
        {"max_lr": 0.5, "step_size_up": 25, "mode": "exp_range", "gamma": 0.99, "cycle_momentum": False},
        {"max_lr": 3.0, "step_size_up": 8, "base_momentum": 0.5, "max_momentum": 0.95},
        {"max_lr": 0.5, "step_size_up": 12, "scale_fn": 0.9},
        {"max_lr": 0.5, "step_size_up": 12, "scale_fn": 0.98, "scale_mode": "iterations"},
        {"max_lr": 3.0},
        raising=[{"max_lr": 0.1, "mode": "square"}, {"max_lr": [0.1, 0.2]}],
    )
    for name in ("LambdaLR", "MultiplicativeLR"):
        schedule(
            name,
            {"lr_lambda": 0.99},
            {"lr_lambda": [0.99, 0.999]},
            {"lr_lambda": 1.0},
            raising=[{"lr_lambda": [0.9, 0.8, 0.7]}],
        )

    falling = (np.linspace(0.1, 1.0, 200) ** -1).tolist()
    noisy = (1 / np.arange(1, 201) + 0.05 * np.random.default_rng(7).random(200)).round(6).tolist()
    schedule(
        "ReduceLROnPlateau",
        {"metrics": falling},
        {"metrics": noisy},
        {"metrics": noisy, "factor": 0.5, "patience": 3, "cooldown": 5},
        {"metrics": noisy, "mode": "max", "patience": 2, "factor": 0.9, "min_lr": 0.01},
        {"metrics": noisy, "patience": 0, "factor": 0.5, "min_lr": [0.01, 1e-4], "eps": 1e-3},
        {"metrics": noisy, "patience": 4, "factor": 0.3, "threshold": 0.1, "threshold_mode": "abs"},
        {"metrics": [-m for m in noisy], "mode": "max", "patience": 4, "threshold": 0.01, "threshold_mode": "rel"},
        {"metrics": noisy, "mode": "max", "patience": 5, "threshold": 0.01, "threshold_mode": "abs"},
        raising=[{"metrics": noisy, "factor": 1.0}, {"metrics": noisy, "mode": "middle"}],
    )

    warmup = {"name": "LinearLR", "start_factor": 0.01, "total_iters": 20}
    cosine = {"name": "CosineAnnealingLR", "T_max": 180, "eta_min": 1e-5}
    exponential = {"name": "ExponentialLR", "gamma": 0.98}
    cycle = {"name": "OneCycleLR", "max_lr": 0.2, "total_steps": 200}
    cyclic = {"name": "CyclicLR", "base_lr": 0.02, "max_lr": 0.2, "step_size_up": 11}
    step = {"name": "StepLR", "step_size": 25, "gamma": 0.5}
    several = {"name": "MultiStepLR", "milestones": [0, 30, 60], "gamma": 0.5}
    constant = {"name": "ConstantLR", "factor": 0.2, "total_iters": 50}
    restarts = {"name": "CosineAnnealingWarmRestarts", "T_0": 15, "T_mult": 2}
    product = {"name": "MultiplicativeLR", "lr_lambda": 0.999}
    closure = {"name": "LambdaLR", "lr_lambda": 0.97}
    polynomial = {"name": "PolynomialLR", "total_iters": 70, "power": 1.5}
    schedule(
        "SequentialLR",
        {"schedulers": [warmup, cosine], "milestones": [20]},
        {"schedulers": [warmup, exponential, step], "milestones": [20, 100]},
        {"schedulers": [constant, restarts], "milestones": [30]},
        {"schedulers": [exponential, product], "milestones": [10]},
        {"schedulers": [closure, polynomial], "milestones": [60]},
        {"schedulers": [exponential, several, closure], "milestones": [10, 120]},
        {"schedulers": [warmup, cycle], "milestones": [5]},
        {"schedulers": [cycle, exponential], "milestones": [150]},
        {"schedulers": [cyclic, cosine], "milestones": [44]},
        {"schedulers": [warmup, cyclic], "milestones": [20]},
        {"schedulers": [warmup, exponential, step], "milestones": [50, 50]},
        {"schedulers": [warmup, exponential], "milestones": [0]},
        {"schedulers": [step], "milestones": []},
        raising=[{"schedulers": [warmup, cosine], "milestones": []}, {"schedulers": [], "milestones": []}],
    )
    schedule(
        "ChainedScheduler",
        {"schedulers": [constant, exponential]},
        {"schedulers": [warmup, cosine]},
        {"schedulers": [step, several, exponential]},
        {"schedulers": [closure, exponential]},
        {"schedulers": [warmup, {"name": "CosineAnnealingLR", "T_max": 60}, product]},
        {"schedulers": [cycle, product]},
        {"schedulers": [cyclic, restarts]},
        {"schedulers": [polynomial, constant]},
        raising=[{"schedulers": []}],
    )
    # timm's, whose cosine and power end where PyTorch's go on: not past their ends here.
    schedule(
        "LinearWarmup",
        *(
            {"warmup_t": warmup_t, "warmup_lr_init": init, "warmup_prefix": prefix, "scheduler": scheduler}
            for warmup_t, init, prefix in [(20, 1e-5, False), (5, 0.0, True), (30, 0.01, True)]
            for scheduler in [
                {"name": "StepLR", "step_size": 25, "gamma": 0.5},
                {"name": "CosineAnnealingLR", "T_max": 210, "eta_min": 1e-5},
                {"name": "PolynomialLR", "total_iters": 205, "power": 0.5},
            ]
        ),
    )


FAMILIES = [schedules]
