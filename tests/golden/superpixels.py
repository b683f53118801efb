"""Writes superpixels.json: SLIC by scikit-image 0.26, LIME by captum 0.9, and linear models by scikit-learn 1.9.

    python tests/golden/superpixels.py

The picture is a part of NASA's portrait of Eileen Collins, which is in the public domain. LIME explains the network of
`explain.py`; captum fits its models to numbers in float32. Masks and samples follow from their names (`from_names.py`).
"""

import json
import pathlib

import numpy as np
import torch
from captum import attr
from captum._utils.models.linear_model import SkLearnLasso, SkLearnLinearRegression, SkLearnRidge
from captum.attr._core.lime import get_exp_kernel_similarity_function
from skimage import color, data, segmentation
from skimage.transform import resize
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from explain import CLASSES, SHAPE, network, tensor
from from_names import numbers

FEATURES, SAMPLES = 6, 40


def superpixels():
    picture = resize(data.astronaut()[0:240, 90:330], (60, 60), anti_aliasing=True)
    picture = np.round(picture * 255).astype(np.uint8)
    grey = np.round(color.rgb2gray(picture) * 255).astype(np.uint8)
    calls = {
        "colour": (picture, 40, 10.0),
        "colour, loose": (picture, 12, 1.0),
        "colour, one turn": (picture, 40, 10.0),
        "grey": (color.gray2rgb(grey), 25, 10.0),
        "strip": (picture[:4], 30, 5.0),
        "flat": (np.full((20, 30, 3), 7, np.uint8), 6, 10.0),
    }
    found = {}
    for name, (image, segments, compactness) in calls.items():
        turns = 1 if "one turn" in name else 10
        labels = segmentation.slic(image, segments, compactness, max_num_iter=turns, start_label=0)
        found[name] = labels.flatten().tolist()
    return {"picture": picture.tobytes().hex(), "grey": grey.tobytes().hex(), "labels": found}


def lime(x, baseline):
    masks = torch.from_numpy((numbers("masks", SAMPLES * FEATURES) > 0).astype(np.int64).reshape(SAMPLES, FEATURES))

    def kept(*_, **__):
        yield from masks[:, None]

    segments = torch.arange(SHAPE[2] * SHAPE[3]).reshape(1, 1, *SHAPE[2:]) // 5 % FEATURES
    models = {
        "lasso": SkLearnLasso(alpha=0.01, tol=1e-7, max_iter=100_000),
        "ridge": SkLearnRidge(alpha=1.0),
        "least squares": SkLearnLinearRegression(),
    }
    found = {}
    for distance, width in [("cosine", 0.25), ("euclidean", 10.0)]:
        for name, model in models.items():
            similar = get_exp_kernel_similarity_function(distance, width)
            method = attr.Lime(network(), model, similar, kept)
            maps = [
                method.attribute(x[i : i + 1], baseline, CLASSES[i], feature_mask=segments, n_samples=SAMPLES)
                for i in range(SHAPE[0])
            ]
            found[f"{name} {distance}"] = [float(f"{value:.9g}") for value in torch.cat(maps).flatten().tolist()]
    return found


def exact(x, baseline):
    """The same models, in float64 all the way."""
    masks = torch.from_numpy((numbers("masks", SAMPLES * FEATURES) > 0).astype(np.float64).reshape(SAMPLES, FEATURES))
    segments = torch.arange(SHAPE[2] * SHAPE[3]).reshape(1, *SHAPE[2:]) // 5 % FEATURES
    models = {
        "lasso": Lasso(0.01, tol=1e-15, max_iter=1_000_000),
        "ridge": Ridge(1.0, solver="cholesky"),
        "least squares": LinearRegression(),
    }
    found = {}
    for distance, width in [("cosine", 0.25), ("euclidean", 10.0)]:
        for name, model in models.items():
            coefficients = []
            for image, label in zip(x, CLASSES):
                kept = masks[:, segments]
                copies = kept * image + (1 - kept) * baseline
                flat, own = copies.flatten(1), image.flatten()
                if distance == "cosine":
                    apart = 1 - flat @ own / flat.norm(dim=1) / own.norm()
                else:
                    apart = (flat - own).norm(dim=1)
                weights = torch.exp(-apart**2 / (2 * width**2))
                scores = network()(copies)[:, label].detach()
                coefficients += model.fit(masks.numpy(), scores.numpy(), weights.numpy()).coef_.tolist()
            found[f"{name} {distance}"] = coefficients
    return found


def main():
    x, baseline = tensor("images", SHAPE), (0.3 * tensor("baseline", (1, *SHAPE[1:]))).float().double()
    golden = {"slic": superpixels(), "lime": lime(x, baseline), "exact": exact(x, baseline)}
    path = pathlib.Path(__file__).with_name("superpixels.json")
    lines = [json.dumps(key) + ": " + json.dumps(value) for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
