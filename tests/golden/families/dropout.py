"""Dropout where nothing is random: outside of training, and with probabilities 0 and 1."""

import numpy as np

from harness import EXACT, INF, NAN


def dropout(file):
    for name, shapes, wrong in [
        ("dropout", [(), (7,), (2, 3, 5), (0, 3)], []),
        ("dropout1d", [(3, 5), (2, 3, 5), (0, 3, 2)], [(), (5,), (2, 3, 4, 5)]),
        ("dropout2d", [(2, 3), (2, 3, 4), (2, 3, 4, 5), (0, 3, 2, 2)], []),
        ("dropout3d", [(3, 2, 2, 2), (2, 3, 1, 2, 2), (3, 4), (0, 3, 1, 2, 2)], []),
        ("alpha_dropout", [(), (7,), (2, 3, 5), (0, 3)], []),
        ("feature_alpha_dropout", [(2, 3), (2, 3, 4), (1, 3, 2, 2), (0, 3, 2)], []),
    ]:
        op = file.op(name, EXACT)
        for shape in shapes:
            for p, training in [(0.0, True), (1.0, True), (0.3, False), (1.0, False), (0.0, False)]:
                op.case({"input": op.uniform(shape)}, p=p, training=training)
        special = np.float32([[[INF, 1], [NAN, 2], [-INF, -0.0]]])
        for p, training in [(0.0, True), (1.0, True), (0.5, False)]:
            op.case({"input": special}, grad=False, p=p, training=training)
        op.case({"input": op.index((2, 3, 4), 9)}, p=0.5, training=False)
        op.case({"input": op.index((2, 3, 4), 9)}, p=1.0, training=True)
        for p in (-0.1, 1.5):
            for training in (True, False):
                op.raises({"input": op.uniform((2, 3, 4))}, p=p, training=training)
        op.raises({"input": op.index((2, 3, 4), 9)}, p=0.5, training=True)
        for shape in wrong:
            op.raises({"input": op.uniform(shape)}, p=0.5, training=False)
        # A tensor without channels is an error where channels are drawn, and nowhere else.
        for shape in {"dropout2d": [(), (3,)], "dropout3d": [()], "feature_alpha_dropout": [(), (3,)]}.get(name, []):
            op.case({"input": op.uniform(shape)}, p=0.5, training=False)
            op.raises({"input": op.uniform(shape)}, p=0.5, training=True)


FAMILIES = [dropout]
