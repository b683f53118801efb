"""Detection: boxes, and what lies in them."""

import numpy as np

from harness import INF, NAN, SAME


def corners(op, shape, low=0.0, high=4.0, side=3.0):
    """Boxes as corners, none of them empty."""
    first = op.uniform((*shape, 2), low, high)
    return np.concatenate([first, first + op.uniform((*shape, 2), 0.1, side)], -1)


def boxes(file):
    forms = ("xyxy", "xywh", "cxcywh")
    op = file.op("box_area")
    for shape in [(5,), (1,), (0,), (2, 3), (1, 1, 7)]:
        op.case({"boxes": corners(op, shape)})
        for fmt in forms:
            op.case({"boxes": corners(op, shape)}, fmt=fmt)
    op.raises({"boxes": op.uniform((2, 3))})
    op.raises({"boxes": op.uniform((2, 4))}, fmt="corners")

    op = file.op("box_convert")
    for shape in [(5,), (0,), (2, 3)]:
        for a in forms:
            for b in forms:
                op.case({"boxes": corners(op, shape)}, in_fmt=a, out_fmt=b)
    op.raises({"boxes": op.uniform((2, 3))}, in_fmt="xyxy", out_fmt="xywh")
    op.raises({"boxes": op.uniform((2, 4))}, in_fmt="xyxy", out_fmt="wh")

    op = file.op("clip_boxes_to_image")
    for shape in [(5,), (0,), (2, 3), (13,)]:
        for size in ([3, 4], [5, 1], [1, 2], [10, 10], [2, 7]):
            op.case({"boxes": corners(op, shape, -2.0, 4.0)}, size=size)
    op.raises({"boxes": op.uniform((2,))[0]}, size=[2, 2])

    for name in ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        op = file.op(name, (2e-5, 2e-6))
        for a, b in [((3,), (4,)), ((1,), (1,)), ((7,), (2,)), ((0,), (3,)), ((3,), (0,)), ((2, 3), (2, 5))] * 3:
            op.case({"boxes1": corners(op, a), "boxes2": corners(op, b)})
        # Far apart, one in the other, the same.
        apart = np.array([[0, 0, 1, 1], [5, 5, 7, 8], [0.25, 0.25, 0.75, 0.5]], np.float32)
        op.case({"boxes1": apart, "boxes2": apart + np.float32(0.125)})
        op.case({"boxes1": apart, "boxes2": apart}, grad=False)
        op.raises({"boxes1": op.uniform((2, 4)), "boxes2": op.uniform((2, 3))})
        if name == "box_iou":
            for fmt in forms:
                op.case({"boxes1": corners(op, (3,)), "boxes2": corners(op, (4,))}, fmt=fmt)
            op.raises({"boxes1": op.uniform((2, 4)), "boxes2": op.uniform((2, 4))}, fmt="wh")

    op = file.op("remove_small_boxes", SAME)
    for count in (0, 1, 5, 13, 40):
        for size in (0.5, 1.0, 2.0, 9.0):
            op.case({"boxes": corners(op, (count,))}, grad=False, min_size=size)

    op = file.op("nms", SAME)
    for count in (0, 1, 2, 7, 33, 100):
        for threshold in (0.0, 0.1, 0.5, 1.0):
            args = {"boxes": corners(op, (count,)), "scores": op.uniform(count)}
            op.case(args, grad=False, iou_threshold=threshold)
    # Ties of scores, zeros of both signs, infinities, boxes without an area.
    op.case({"boxes": corners(op, (20,)), "scores": op.whole(20, 0, 2)}, grad=False, iou_threshold=0.2)
    scores = np.array([0.0, -0.0, INF, -INF, 1.0, NAN], np.float32)
    op.case({"boxes": corners(op, (6,)), "scores": scores}, grad=False, iou_threshold=0.3)
    flat = corners(op, (6,))
    flat[:, 2] = flat[:, 0]
    op.case({"boxes": flat, "scores": op.uniform(6)}, grad=False, iou_threshold=0.3)
    for a, b in [((2, 4), (3,)), ((2, 5), (2,)), ((4,), (1,)), ((2, 4), (2, 1))]:
        op.raises({"boxes": op.uniform(a), "scores": op.uniform(b)}, iou_threshold=0.5)


def numbered(op, count, images, side=4.0):
    """Regions `[K, 5]`, some of them partly or wholly outside."""
    image = op.whole((count, 1), 0, images - 1)
    return np.concatenate([image, corners(op, (count,), -2.0, 6.0, side)], -1)


def regions(file):
    op = file.op("roi_align", (2e-5, 2e-5))
    for attrs in [
        {"output_size": 2},
        {"output_size": [3, 1]},
        {"output_size": [1, 1], "sampling_ratio": 2},
        {"output_size": [2, 3], "sampling_ratio": 1},
        {"output_size": 2, "sampling_ratio": 0},
        {"output_size": 2, "sampling_ratio": 5, "spatial_scale": 0.5},
        {"output_size": 2, "spatial_scale": 2.0},
        {"output_size": 7, "spatial_scale": 0.3},
    ]:
        for aligned in (False, True):
            for shape, count in [((2, 2, 5, 6), 3), ((1, 3, 7, 3), 2)]:
                args = {"input": op.uniform(shape), "boxes": numbered(op, count, shape[0])}
                op.case(args, constant=("boxes",), aligned=aligned, **attrs)
    listed = {"input": op.uniform((2, 1, 5, 5)), "boxes": [corners(op, (2,)), corners(op, (1,))]}
    op.case(listed, constant=("boxes.0", "boxes.1"), output_size=[2, 2])
    whole = np.array([[0, 0, 0, 4, 4], [0, 1, 1, 1, 1], [0, 3, 3, 1, 2], [0, -9, -9, -7, -7]], np.float32)
    args = {"input": op.uniform((1, 2, 5, 5)), "boxes": whole}
    for aligned in (False, True):
        op.case(args, constant=("boxes",), output_size=2, aligned=aligned)
    # Many regions over the same elements.
    args = {"input": op.uniform((1, 1, 4, 4)), "boxes": numbered(op, 40, 1)}
    op.case(args, constant=("boxes",), output_size=2)

    pool = file.op("roi_pool", (2e-6, 2e-6))
    for attrs in [
        {"output_size": 2},
        {"output_size": [3, 1]},
        {"output_size": [1, 1]},
        {"output_size": [2, 3], "spatial_scale": 0.5},
        {"output_size": 5, "spatial_scale": 2.0},
        {"output_size": 7, "spatial_scale": 0.3},
        {"output_size": 3, "spatial_scale": 1.0},
    ]:
        for shape, count in [((2, 2, 5, 6), 3), ((1, 3, 7, 3), 2), ((1, 1, 1, 1), 2), ((3, 1, 9, 8), 4)]:
            args = {"input": pool.uniform(shape), "boxes": numbered(pool, count, shape[0])}
            pool.case(args, constant=("boxes",), **attrs)
    listed = {"input": pool.uniform((2, 1, 5, 5)), "boxes": [corners(pool, (2,)), corners(pool, (1,))]}
    pool.case(listed, constant=("boxes.0", "boxes.1"), output_size=[2, 2])
    # Halves, ties, nothing but infinities.
    pool.case(
        {"input": pool.uniform((1, 2, 5, 5)), "boxes": whole + np.float32(0.5)}, constant=("boxes",), output_size=2
    )
    pool.case({"input": pool.whole((1, 2, 5, 5), 0, 1), "boxes": whole}, constant=("boxes",), output_size=2)
    lowest = np.full((1, 1, 5, 5), -INF, np.float32)
    pool.case({"input": lowest, "boxes": whole}, grad=False, output_size=2)

    for each in (op, pool):
        for shape, rows in [((1, 1, 4, 4), (1, 4)), ((1, 1, 4, 4), (5,))]:
            each.raises({"input": each.uniform(shape), "boxes": np.zeros(rows, np.float32)}, output_size=2)
        each.raises({"input": each.uniform((1, 1, 4, 4)), "boxes": [np.zeros((1, 5), np.float32)]}, output_size=2)


FAMILIES = [boxes, regions]
