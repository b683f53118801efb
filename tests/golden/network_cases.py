"""Writes conformance cases of torchvision's networks, which are too large to keep, to FILE:

    python network_cases.py FILE SEED double|single NAME...

or of all names in CASES where none is given; DETECTORS have names too. Weights, statistics and inputs are random; everything is computed in float64 from
numbers that float32 holds. Results may differ by 1e-9 of their largest value, or for single precision by 1e-4 of it and four times
PyTorch's own float32 error. It ends with 3 where there is no PyTorch.
"""

import json
import sys

try:
    import safetensors.torch
    import torch
    import torchvision
except ImportError as error:
    print(error)
    sys.exit(3)

# The constructor's arguments besides the classes, and the side of the images.
CASES = {
    "resnet18": ({}, 64),
    "resnet50": ({"replace_stride_with_dilation": [False, False, True], "zero_init_residual": True}, 64),
    "googlenet": ({"dropout": 0.0, "dropout_aux": 0.0, "init_weights": False, "transform_input": True}, 64),
    "inception_v3": ({"dropout": 0.0, "init_weights": False, "transform_input": True}, 299),
    "efficientnet_b0": ({"dropout": 0.0, "stochastic_depth_prob": 0.0}, 64),
    "vit_b_32": ({"image_size": 64}, 64),
}
# Few regions, of which all are sampled, so that nothing is drawn.
PROPOSALS = {"rpn_batch_size_per_image": 100000, "box_batch_size_per_image": 100000}
PROPOSALS |= {f"rpn_{stage}_nms_top_n_{mode}": 30 for stage in ("pre", "post") for mode in ("train", "test")}
SMALL = {"min_size": 64, "max_size": 96}
# The constructor's arguments of detectors besides the classes.
DETECTORS = {
    "fasterrcnn_resnet50_fpn": SMALL | PROPOSALS | {"box_fg_iou_thresh": 0.4, "box_bg_iou_thresh": 0.4},
    "fasterrcnn_resnet50_fpn_v2": SMALL | PROPOSALS,
    "fasterrcnn_mobilenet_v3_large_fpn": SMALL | PROPOSALS | {"bbox_reg_weights": [8.0, 9.0, 4.0, 5.0]},
    "fasterrcnn_mobilenet_v3_large_320_fpn": SMALL | PROPOSALS,
    "maskrcnn_resnet50_fpn": SMALL | PROPOSALS,
    "maskrcnn_resnet50_fpn_v2": SMALL | PROPOSALS,
    "keypointrcnn_resnet50_fpn": SMALL | PROPOSALS | {"num_keypoints": 3},
    "retinanet_resnet50_fpn": SMALL | {"topk_candidates": 50, "detections_per_img": 20, "fg_iou_thresh": 0.45},
    "retinanet_resnet50_fpn_v2": SMALL | {"topk_candidates": 50, "detections_per_img": 20},
    "fcos_resnet50_fpn": SMALL | {"topk_candidates": 50, "center_sampling_radius": 2.0, "score_thresh": 0.01},
    "ssd300_vgg16": {"topk_candidates": 30, "iou_thresh": 0.45},
    "ssdlite320_mobilenet_v3_large": {"topk_candidates": 30, "detections_per_img": 40},
}
# torchvision computes keypoints in float32, and hardsigmoid's gradient with a sixth of float32.
COARSE = ("keypointrcnn_resnet50_fpn", "mobilenet_v3")
# Parameters whose gradients are kept: of a large network some, from its beginning to its end.
GRADIENTS = 40


def outputs_of(result):
    """Those of a tuple or a list, or of a dictionary in the order of its keys."""
    if isinstance(result, torch.Tensor):
        return [result]
    parts = result.values() if isinstance(result, dict) else result
    return [output for part in parts if part is not None for output in outputs_of(part)]


def run(net, inputs, targets, kept):
    """Outputs, cotangents and gradients by their keys: of the inputs, and of the kept parameters."""
    inputs = {key: input.clone().requires_grad_() for key, input in inputs.items()}
    net.zero_grad()
    images = list(inputs.values())
    outputs = outputs_of(net(images, targets) if targets else net(images if len(images) > 1 else images[0]))
    torch.manual_seed(len(outputs))
    # Detections are no leaves to a gradient's walk: labels have none.
    fed = {i: torch.randn(output.shape).to(output.dtype) for i, output in enumerate(outputs) if output.requires_grad}
    torch.autograd.backward([outputs[i] for i in fed], list(fed.values()))
    results = {f"out.{i}": output.detach() for i, output in enumerate(outputs)}
    parameters = [(key, parameter.grad) for key, parameter in net.named_parameters() if parameter.grad is not None]
    gradients = [(key, input.grad) for key, input in inputs.items()] + kept(parameters)
    return results | {f"grad.{key}": gradient.clone() for key, gradient in gradients}, fed


def scene(points):
    """Two images of several sizes, and their objects; the second has none."""
    sizes = [(40, 56), (48, 40)]
    images = {f"input.{i}": torch.rand(3, *size) for i, size in enumerate(sizes)}
    boxes = torch.tensor([[4.0, 6.0, 30.0, 34.0], [20.0, 10.0, 52.0, 38.0]])
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None] + torch.tensor([[0.0, 0.0], [4.0, -5.0], [-6.0, 3.0]][:points])
    full = {
        "boxes": boxes, "labels": torch.ones(2, dtype=torch.int64),
        "masks": torch.randint(0, 2, (2, *sizes[0]), dtype=torch.uint8),
        "keypoints": torch.cat([middles, torch.ones(2, points, 1)], 2),
    }
    empty = {key: value.new_zeros((0, *(sizes[1] if key == "masks" else value.shape[1:]))) for key, value in full.items()}
    return images, [full, empty]


def cases(name, seed, is_double, tensors):
    torch.manual_seed(seed)
    classes = 3 + seed % 5
    is_detector = name in DETECTORS
    arguments, side = (DETECTORS[name], None) if is_detector else CASES[name]
    room = torchvision.models.detection if is_detector else torchvision.models
    weights = {"weights": None, "weights_backbone": None} if is_detector else {}
    net = getattr(room, name)(num_classes=classes, **arguments, **weights)
    state = net.state_dict()
    for key, tensor in state.items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif key.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.1)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.uniform_(0.7, 1.3)
    state = {key: tensor.clone() for key, tensor in state.items()}
    kept = lambda parameters: parameters[:: 1 + len(parameters) // GRADIENTS]
    for mode in ("train", "eval"):
        case = f"{name}.{mode}"
        inputs, targets = scene(3) if is_detector else ({"input": torch.randn(4, 3, side, side)}, [])
        targets = targets if mode == "train" else []
        net.float().load_state_dict(state)
        net.train(mode == "train")
        # A detector of float32 may find other objects.
        single = {} if is_double else run(net, inputs, targets, kept)[0]
        net.load_state_dict(state)
        doubles = [target | {"boxes": target["boxes"].double()} for target in targets]
        results, cotangents = run(net.double(), {key: input.double() for key, input in inputs.items()}, doubles, kept)
        scales = {}
        for what, tensor in results.items():
            error = 0.0 if is_double else (single[what] - tensor).abs().max().item()
            scales[what] = max(tensor.abs().max().item() if tensor.numel() else 0.0, 4e4 * error)
        tensors |= {f"{case}.state.{key}": tensor for key, tensor in state.items()}
        tensors |= {f"{case}.cot.{i}": cotangent for i, cotangent in cotangents.items()}
        tensors |= {f"{case}.arg.{key}": input for key, input in inputs.items()}
        parts = {f"{case}.arg.target.{key}.{i}": part for i, target in enumerate(targets) for key, part in target.items()}
        tensors |= parts | {f"{case}.{what}": tensor for what, tensor in results.items()}
        listed = [f"input[{len(inputs)}]"] if is_detector else ["input"]
        listed += [f"target.{key}[{len(targets)}]" for key in (targets[0] if targets else [])]
        exact = 1e-7 if any(part in name for part in COARSE) else 1e-9
        yield {
            "name": case, "op": f"models.{name}", "args": listed,
            "attrs": {"num_classes": classes, "mode": mode} | arguments,
            "outputs": sum(what.startswith("out.") for what in results), "grad": True,
            "rtol": 0.0, "atol": exact if is_double else 1e-4, "scales": scales,
        }


def main(path, seed, precision, names):
    # torchvision's labels are float32, and so would be a part of this loss.
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    torch.nn.functional.binary_cross_entropy_with_logits = (
        lambda logits, labels, **rest: entropy(logits, labels.to(logits.dtype), **rest)
    )
    tensors = {}
    listed = [case for name in names or CASES for case in cases(name, seed, precision == "double", tensors)]
    tensors = {key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, path, {"cases": json.dumps(listed)})


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
