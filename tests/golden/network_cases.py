"""Writes conformance cases of torchvision's networks, which are too large to keep, to FILE:

    python network_cases.py FILE NAME...

Weights, statistics and inputs are random; everything is computed in float64 from numbers that float32 holds. It ends with 3
where there is no PyTorch.
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

CLASSES = 3


def cases(name, tensors):
    torch.manual_seed(len(name))
    net = getattr(torchvision.models, name)(num_classes=CLASSES)
    state = net.state_dict()
    for key, tensor in state.items():
        if key.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif key.endswith(("running_mean", "bias")):
            tensor.normal_(std=0.1)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.uniform_(0.7, 1.3)
    state = {key: tensor.clone() for key, tensor in state.items()}
    net.double()
    for mode in ("train", "eval"):
        case = f"{name}.{mode}"
        net.load_state_dict(state)
        net.train(mode == "train").zero_grad()
        input = torch.randn(2, 3, 64, 64).double().requires_grad_()
        output = net(input)
        cotangent = torch.randn(output.shape).double()
        output.backward(cotangent)
        tensors |= {f"{case}.state.{key}": tensor for key, tensor in state.items()}
        tensors |= {f"{case}.arg.input": input.detach(), f"{case}.out.0": output.detach(), f"{case}.cot.0": cotangent}
        gradients = {"input": input.grad} | {key: parameter.grad for key, parameter in net.named_parameters()}
        tensors |= {f"{case}.grad.{key}": gradient for key, gradient in gradients.items()}
        results = {"out.0": output.detach()} | {f"grad.{key}": gradient for key, gradient in gradients.items()}
        yield {
            "name": case, "op": f"models.{name}", "args": ["input"], "attrs": {"num_classes": CLASSES, "mode": mode},
            "outputs": 1, "grad": True, "rtol": 0.0, "atol": 1e-4,
            "scales": {what: tensor.abs().max().item() for what, tensor in results.items()},
        }


tensors = {}
listed = [case for name in sys.argv[2:] for case in cases(name, tensors)]
tensors = {key: tensor.detach().contiguous().clone() for key, tensor in tensors.items()}
safetensors.torch.save_file(tensors, sys.argv[1], {"cases": json.dumps(listed)})
