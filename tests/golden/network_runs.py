"""Runs of a network that `tests/common/network_runs.rs` repeats: outputs, loss and gradients in float64 with weights that follow
from their names.

`f32` is the largest difference of PyTorch's own float32 results from these, counted as the test counts it.
"""

import numpy as np
import torch

from from_names import digest, fill, numbers


def tensors(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [output for output in outputs if output is not None]


def images(shape):
    """Inputs from -1 to 1 in float32's precision."""
    return torch.from_numpy(numbers("images", int(np.prod(shape))).astype(np.float32).astype(np.float64)).reshape(shape)


def classes_of(outputs, batch, classes):
    """The cross entropy of each output for classes that follow from a sample's place."""
    labels = torch.tensor([(3 * i + 1) % classes for i in range(batch)])
    return sum(torch.nn.functional.cross_entropy(output, labels) for output in outputs)


def run(model, inputs, loss):
    """Outputs, loss and gradients of all trained parameters and of the inputs."""
    inputs = inputs.clone().requires_grad_()
    outputs = tensors(model(inputs))
    value = loss(outputs)
    model.zero_grad(set_to_none=True)
    value.backward()
    # Auxiliary heads take no part in evaluation.
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    gradients["input"] = inputs.grad
    return [output.detach() for output in outputs], value.item(), gradients


def runs(model, shape, loss):
    """The results of evaluation and of training; `loss` makes a scalar of the outputs."""
    model.double()
    inputs = images(shape)
    result = {}
    for mode in ("eval", "train"):
        model.train(mode == "train")
        fill(model)
        outputs, value, gradients = run(model, inputs, loss)
        digests = {name: digest(name, gradient) for name, gradient in gradients.items()}
        fill(model)
        outputs32, _, gradients32 = run(model.float(), inputs.float(), loss)
        model.double()
        largest = max(norm for norm, _ in digests.values())
        worst = max(
            abs(digest(name, gradients32[name])[1] - product) / max(norm, 1e-3 * largest)
            for name, (norm, product) in digests.items()
        )
        scale = max(float(output.abs().max()) for output in outputs)
        apart = max(float((a.double() - b).abs().max()) for a, b in zip(outputs32, outputs)) / scale
        result[mode] = {
            "logits": [output.flatten().tolist() for output in outputs],
            "loss": value,
            # By name, in the order of names.
            "gradients": [[float(f"{number:.14g}") for number in digests[name]] for name in sorted(digests)],
            "f32": [apart, worst],
        }
    return result
