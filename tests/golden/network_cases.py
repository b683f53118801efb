"""Writes conformance cases of torchvision's networks, which are too large to keep, to FILE:

    python network_cases.py FILE SEED double|single NAME...

or of all names in CASES where none is given. Weights, statistics and inputs are random; everything is computed in float64 from
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
# Parameters whose gradients are kept: of a large network some, from its beginning to its end.
GRADIENTS = 40


def outputs_of(result):
    """Those of a tuple, or of a dictionary in the order of its keys."""
    if isinstance(result, torch.Tensor):
        return [result]
    return [output for output in (result.values() if isinstance(result, dict) else result) if output is not None]


def run(net, input, kept):
    """Outputs, cotangents and gradients by their keys: of the input, and of the kept parameters."""
    input = input.clone().requires_grad_()
    net.zero_grad()
    outputs = outputs_of(net(input))
    torch.manual_seed(len(outputs))
    cotangents = [torch.randn(output.shape).to(output.dtype) for output in outputs]
    torch.autograd.backward(outputs, cotangents)
    results = {f"out.{i}": output.detach() for i, output in enumerate(outputs)} | {"grad.input": input.grad}
    parameters = [(key, parameter.grad) for key, parameter in net.named_parameters() if parameter.grad is not None]
    return results | {f"grad.{key}": gradient.clone() for key, gradient in kept(parameters)}, cotangents


def cases(name, seed, is_double, tensors):
    torch.manual_seed(seed)
    classes = 3 + seed % 5
    arguments, side = CASES[name]
    net = getattr(torchvision.models, name)(num_classes=classes, **arguments)
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
        input = torch.randn(4, 3, side, side)
        net.float().load_state_dict(state)
        net.train(mode == "train")
        single, _ = run(net, input, kept)
        net.load_state_dict(state)
        results, cotangents = run(net.double(), input.double(), kept)
        scales = {}
        for what, tensor in results.items():
            error = 0.0 if is_double else (single[what] - tensor).abs().max().item()
            scales[what] = max(tensor.abs().max().item(), 4e4 * error)
        tensors |= {f"{case}.state.{key}": tensor for key, tensor in state.items()}
        tensors |= {f"{case}.cot.{i}": cotangent for i, cotangent in enumerate(cotangents)}
        tensors |= {f"{case}.arg.input": input} | {f"{case}.{what}": tensor for what, tensor in results.items()}
        yield {
            "name": case, "op": f"models.{name}", "args": ["input"],
            "attrs": {"num_classes": classes, "mode": mode} | arguments,
            "outputs": len(cotangents), "grad": True, "rtol": 0.0, "atol": 1e-9 if is_double else 1e-4, "scales": scales,
        }


def main(path, seed, precision, names):
    tensors = {}
    listed = [case for name in names or CASES for case in cases(name, seed, precision == "double", tensors)]
    tensors = {key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, path, {"cases": json.dumps(listed)})


main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
