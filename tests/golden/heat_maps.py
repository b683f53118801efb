"""Writes heat_maps.json: maps by captum 0.9, their bilinear enlargement by PyTorch, and colours by matplotlib and OpenCV.

    python tests/golden/heat_maps.py

Attributions follow from their names (`from_names.py`).
"""

import json
import pathlib

import cv2
import matplotlib
import numpy as np
import torch
from captum.attr._utils.visualization import _normalize_attr

from from_names import numbers

SHAPE = (3, 6, 7)
SIZES = [(13, 9), (6, 7), (4, 3)]


def numbers_of(values):
    return [float(f"{value:.14g}") for value in np.asarray(values).flatten().tolist()]


def maps():
    # Cubes, so that few numbers hold most of the sum.
    attributions = numbers("attributions", int(np.prod(SHAPE))) ** 3
    sums = attributions.astype(np.float32).astype(np.float64).reshape(SHAPE).sum(0)
    found = {}
    for sign in ["absolute_value", "positive", "negative", "all"]:
        for outliers in [1, 2, 30]:
            found[f"{sign} {outliers}"] = numbers_of(_normalize_attr(sums, sign, outliers))
    whole = torch.tensor(_normalize_attr(sums, "all", 2))[None, None]
    for size in SIZES:
        resized = torch.nn.functional.interpolate(whole, size, mode="bilinear", align_corners=False)
        found["resized {} {}".format(*size)] = numbers_of(resized)
    return found


def colours():
    steps = np.arange(256)
    table = lambda name: np.round(matplotlib.colormaps[name](steps)[:, :3] * 255).astype(int)
    jet = cv2.applyColorMap(steps.astype(np.uint8)[None], cv2.COLORMAP_JET)[0, :, ::-1]
    found = {"viridis": table("viridis"), "jet": jet, "diverging": table("RdBu_r")}
    return {name: "".join("%02x%02x%02x" % tuple(row) for row in rows) for name, rows in found.items()}


def main():
    golden = {"maps": maps(), "colours": colours()}
    path = pathlib.Path(__file__).with_name("heat_maps.json")
    lines = [json.dumps(key) + ": " + json.dumps(value) for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
