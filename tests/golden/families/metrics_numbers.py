"""Metrics of numbers and of images."""

import numpy as np

from harness import sum_tolerance

SUMS = (2e-5, 1e-6)
SHARES = (2e-5, 5e-6)


def metrics_regression(file):
    shapes = [(1,), (7,), (300,), (4, 5), (2, 3, 4, 5)]
    for name in ("mean_squared_error", "mean_absolute_error"):
        op = file.op(f"metrics.{name}", SUMS)
        roots = ({}, {"squared": False}) if name == "mean_squared_error" else ({},)
        for attrs in roots:
            for shape in shapes:
                op.case({"preds": op.uniform(shape), "target": op.uniform(shape)}, grad=False, **attrs)
            for outputs in (2, 5):
                pair = {"preds": op.uniform((30, outputs)), "target": op.uniform((30, outputs))}
                op.case(pair, grad=False, num_outputs=outputs, **attrs)
        same = op.uniform((9,))
        op.case({"preds": same, "target": same}, grad=False)
        op.case({"preds": op.index((9,), 5), "target": op.index((9,), 5)}, grad=False)
        op.raises({"preds": op.uniform((3,)), "target": op.uniform((4,))})
    for name in ("mean_absolute_percentage_error", "weighted_mean_absolute_percentage_error"):
        op = file.op(f"metrics.{name}", SUMS)
        for shape in shapes:
            op.case({"preds": op.uniform(shape), "target": op.signed(shape, 0.1, 2)}, grad=False)
        op.case({"preds": op.uniform((4,)), "target": np.zeros(4, np.float32)}, grad=False)
    op = file.op("metrics.symmetric_mean_absolute_percentage_error", SUMS)
    for shape in shapes:
        op.case({"preds": op.uniform(shape), "target": op.uniform(shape)}, grad=False)
    op.case({"preds": np.zeros(4, np.float32), "target": np.zeros(4, np.float32)}, grad=False)
    op = file.op("metrics.mean_squared_log_error", SUMS)
    for shape in shapes:
        op.case({"preds": op.uniform(shape, 0, 9), "target": op.uniform(shape, -0.5, 9)}, grad=False)


def varied(op, shape, noise=0.3, offset=0.0):
    target = op.uniform(shape) + np.float32(offset)
    return {"preds": target + np.float32(noise) * op.uniform(shape), "target": target}


def metrics_variance(file):
    averages = ("raw_values", "uniform_average", "variance_weighted")
    for name in ("r2_score", "explained_variance"):
        op = file.op(f"metrics.{name}", SHARES)
        for average in averages:
            for shape in [(2,), (40,), (40, 1), (25, 4)]:
                op.case(varied(op, shape), grad=False, multioutput=average)
            # Outputs of other sizes, far from 0, and such as don't vary or are all right.
            pair = varied(op, (30, 5))
            pair = {k: v * np.array([1, 1e-4, 50, 1, 1], np.float32) for k, v in pair.items()}
            pair["target"][:, 3] = 0.75
            pair["preds"][:, 4] = pair["target"][:, 4]
            op.case(pair, grad=False, multioutput=average)
            op.case(varied(op, (50, 2), offset=300.0), grad=False, coarse=True, tol=(2e-4, 2e-4), multioutput=average)
            same = np.full((6, 2), 0.25, np.float32)
            op.case({"preds": same, "target": same}, grad=False, multioutput=average)
        op.raises({"preds": op.uniform((3,)), "target": op.uniform((4,))})
    op = file.op("metrics.r2_score", SHARES)
    for adjusted in (1, 3, 18, 19, 30):
        op.case(varied(op, (20,)), grad=False, adjusted=adjusted)
    op = file.op("metrics.pearson_corrcoef", SHARES)
    for shape in [(40,), (25, 4)]:
        op.case(varied(op, shape), grad=False)
        op.case({k: -v if k == "preds" else v for k, v in varied(op, shape).items()}, grad=False)
        # Predictions that hardly vary yet.
        pair = varied(op, shape)
        op.case(pair | {"preds": np.float32(0.5) + np.float32(1e-2) * pair["preds"]}, grad=False, coarse=True, tol=(1e-4, 1e-4))
    op.raises({"preds": op.uniform((3,)), "target": op.uniform((4,))})


def images(op, shape, noise=0.2):
    target = op.uniform(shape, 0, 1)
    return {"preds": np.clip(target + np.float32(noise) * op.uniform(shape), 0, 1), "target": target}


def metrics_images(file):
    op = file.op("metrics.peak_signal_noise_ratio", SHARES)
    for shape in [(7,), (2, 3, 8, 9)]:
        for attrs in ({"data_range": 1.0}, {"data_range": 255.0}, {"data_range": 1.0, "base": 2.0}, {"data_range": [0.2, 0.7]}):
            op.case(images(op, shape), grad=False, **attrs)
    for reduction in ("elementwise_mean", "sum", "none"):
        for dim in ([1, 2, 3], 1, [2, 3]):
            op.case(images(op, (3, 2, 5, 4)), grad=False, data_range=1.0, dim=dim, reduction=reduction)
    same = op.uniform((2, 1, 4, 4), 0, 1)
    op.case({"preds": same, "target": same}, grad=False, data_range=1.0)
    op.case({"preds": op.index((2, 3, 4, 4), 256), "target": op.index((2, 3, 4, 4), 256)}, grad=False, data_range=255.0)
    op.raises({"preds": op.uniform((3,)), "target": op.uniform((4,))}, data_range=1.0)

    op = file.op("metrics.structural_similarity_index_measure", (5e-5, 2e-5))
    shape = (2, 2, 13, 12)
    for attrs in (
        {"data_range": 1.0},
        {},
        {"data_range": [0.1, 0.9]},
        {"data_range": 2.0, "sigma": 0.8},
        {"data_range": 1.0, "sigma": [0.5, 1.2]},
        {"data_range": 1.0, "gaussian_kernel": False, "kernel_size": 5},
        {"data_range": 1.0, "gaussian_kernel": False, "kernel_size": [3, 7]},
        {"data_range": 1.0, "k1": 0.05, "k2": 0.2},
        {"data_range": 1.0, "reduction": "sum"},
        {"data_range": 1.0, "reduction": "none"},
    ):
        op.case(images(op, shape), grad=False, **attrs)
    op.case(images(op, (1, 1, 6, 6)), grad=False, data_range=1.0)
    same = op.uniform(shape, 0, 1)
    op.case({"preds": same, "target": same}, grad=False, data_range=1.0)
    op.case({"preds": 1 - same, "target": same}, grad=False, data_range=1.0)
    flat = np.full(shape, 0.25, np.float32)
    op.case({"preds": flat, "target": flat + np.float32(0.25)}, grad=False, data_range=1.0)
    bytes_ = {k: np.floor(v * 255).astype(np.float32) for k, v in images(op, shape).items()}
    op.case(bytes_, grad=False, data_range=255.0)
    op.raises({"preds": op.uniform(shape), "target": op.uniform((2, 2, 13, 11))})
    op.raises({"preds": op.uniform((3, 13, 12)), "target": op.uniform((3, 13, 12))})
    op.raises({"preds": op.uniform(shape), "target": op.uniform(shape)}, gaussian_kernel=False, kernel_size=4)
    op.raises({"preds": op.uniform(shape), "target": op.uniform(shape)}, sigma=0.0)
    op.raises({"preds": op.uniform((1, 1, 5, 9)), "target": op.uniform((1, 1, 5, 9))})

    op = file.op("metrics.multiscale_structural_similarity_index_measure", (1e-4, 2e-5))
    betas = [0.3, 0.4, 0.3]
    for attrs in (
        {"betas": betas},
        {"betas": [0.5, 0.5], "normalize": "simple"},
        {"betas": betas, "normalize": None},
        {"betas": betas, "gaussian_kernel": False, "kernel_size": 3},
        {"betas": [1.0], "reduction": "none"},
    ):
        op.case(images(op, (1, 1, 45, 48), 0.1), grad=False, data_range=1.0, **attrs)
    op.raises({"preds": op.uniform((1, 1, 40, 48)), "target": op.uniform((1, 1, 40, 48))}, data_range=1.0, betas=betas)

    op = file.op("metrics.total_variation", sum_tolerance(600))
    for reduction in ("sum", "mean", "none"):
        op.case({"img": op.uniform((2, 3, 8, 9))}, grad=False, reduction=reduction)
    op.case({"img": op.uniform((1, 1, 1, 5))}, grad=False)
    op.raises({"img": op.uniform((3, 8, 9))})


FAMILIES = [metrics_regression, metrics_variance, metrics_images]
