"""Writes robust_smoothing.json: bounds and radii of randomized smoothing by scipy and statsmodels.

    python tests/golden/robust_smoothing.py

Cohen et al. (2019): the lower bound of Clopper and Pearson at `2 alpha`, whose upper end is not asked for; the radius
`sigma Phi^-1(bound)`; and the two-sided test of the two most frequent classes.
"""

import json
import pathlib

from scipy.stats import binomtest, norm
from statsmodels.stats.proportion import proportion_confint

CASES = [(990, 1000, 0.001), (1000, 1000, 0.001), (99_000, 100_000, 0.001), (100_000, 100_000, 0.001), (51, 100, 0.05),
         (3, 7, 0.2), (1, 1, 0.4), (501, 1000, 0.001), (51_000, 100_000, 0.001), (0, 50, 0.01), (73_211, 100_000, 1e-6)]
SPLITS = [(60, 40), (50, 50), (100, 0), (5, 1), (1, 0), (99, 61), (60_000, 40_000), (50_300, 49_700)]


def main():
    bounds = [proportion_confint(k, n, alpha=2 * alpha, method="beta")[0] for k, n, alpha in CASES]
    radii = [0.25 * norm.ppf(bound) if bound > 0.5 else 0.0 for bound in bounds]
    golden = {
        "cases": CASES,
        "bounds": [float(bound) for bound in bounds],
        "radii": [float(radius) for radius in radii],
        "splits": SPLITS,
        "tests": [float(binomtest(a, a + b, 0.5).pvalue) for a, b in SPLITS],
    }
    path = pathlib.Path(__file__).with_name("robust_smoothing.json")
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden.items()) + "\n}\n")


if __name__ == "__main__":
    main()
