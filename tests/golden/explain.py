"""Writes explain.json: attributions by captum 0.9 and pytorch-grad-cam 1.5.7.

    python tests/golden/explain.py

The network's weights and the images follow from their names (`from_names.py`). captum computes in float64, pytorch-grad-cam
rounds its maps to float32.
"""

import json
import pathlib

import numpy as np
import torch
from captum import attr
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, LayerCAM, ScoreCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import nn

from from_names import fill, numbers

SHAPE = (2, 3, 9, 8)
CLASSES = [2, 0]
LAYER = "relu2"


class Net(nn.Module):
    """Three convolutions, of which each has a layer of its own for whatever captum hooks."""

    def __init__(self, pool=nn.MaxPool2d):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()
        self.pool1 = pool(2)
        self.conv2, self.relu2 = nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()
        self.conv3, self.tanh3 = nn.Conv2d(6, 5, 2), nn.Tanh()
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        x = self.pool1(self.relu1(self.bn1(self.conv1(x))))
        x = self.tanh3(self.conv3(self.relu2(self.conv2(x))))
        return self.fc(x.mean((2, 3)))


def tensor(name, shape):
    return torch.from_numpy(numbers(name, int(np.prod(shape))).astype(np.float32).astype(np.float64).reshape(shape))


def network(pool=nn.MaxPool2d):
    net = Net(pool).double().eval()
    fill(net)
    return net


def numbers_of(values):
    return [float(f"{value:.10g}") for value in torch.as_tensor(values).flatten().tolist()]


def attributions(x, baseline):
    target = torch.tensor(CLASSES)
    windows = {"sliding_window_shapes": (3, 4, 3), "strides": (3, 3, 2)}
    segments = torch.arange(9 * 8).reshape(1, 1, 9, 8) // 5 % 6
    layer = lambda net: getattr(net, LAYER)
    calls = {
        "saliency": lambda net: attr.Saliency(net).attribute(x, target),
        "vanilla_gradient": lambda net: attr.Saliency(net).attribute(x, target, abs=False),
        "input_x_gradient": lambda net: attr.InputXGradient(net).attribute(x, target),
        "integrated_gradients": lambda net: attr.IntegratedGradients(net).attribute(x, baseline, target, n_steps=20),
        "guided_backprop": lambda net: attr.GuidedBackprop(net).attribute(x, target),
        "deconvolution": lambda net: attr.Deconvolution(net).attribute(x, target),
        # captum's rule for maximum pooling leaves a part of the difference unexplained.
        "deep_lift": lambda _: attr.DeepLift(network(nn.AvgPool2d)).attribute(x, baseline, target),
        "occlusion": lambda net: attr.Occlusion(net).attribute(x, baselines=baseline, target=target, **windows),
        "feature_ablation": lambda net: attr.FeatureAblation(net).attribute(x, baseline, target, feature_mask=segments),
        "layer_activation": lambda net: attr.LayerActivation(net, layer(net)).attribute(x),
        "layer_conductance": lambda net: attr.LayerConductance(net, layer(net)).attribute(x, baseline, target, n_steps=20),
        "guided_grad_cam": lambda net: attr.GuidedGradCam(net, layer(net)).attribute(x, target),
        "layer_grad_cam": lambda net: attr.LayerGradCam(net, layer(net)).attribute(x, target),
    }
    return {name: numbers_of(call(network()).detach()) for name, call in calls.items()}


def maps(x):
    targets = [ClassifierOutputTarget(each) for each in CLASSES]
    methods = {
        "grad-cam": GradCAM, "grad-cam++": GradCAMPlusPlus, "xgrad-cam": XGradCAM, "score-cam": ScoreCAM,
        "layer-cam": LayerCAM, "ablation-cam": AblationCAM,
    }
    net = network()
    activations = attr.LayerActivation(net, getattr(net, LAYER)).attribute(x).detach().numpy()
    # Before the map is cut off at 0, since the sign of a principal component is anybody's choice.
    found = {"eigen-cam": numbers_of(get_2d_projection(activations))}
    for name, method in methods.items():
        net = network()
        found[name] = numbers_of(method(net, [getattr(net, LAYER)])(x.requires_grad_(), targets))
    return found


def main():
    x, baseline = tensor("images", SHAPE), 0.3 * tensor("baseline", (1, *SHAPE[1:]))
    baseline = baseline.float().double()
    golden = {
        "scores": numbers_of(network()(x).detach()),
        "attributions": attributions(x, baseline.expand(SHAPE)),
        "maps": maps(x.detach()),
    }
    path = pathlib.Path(__file__).with_name("explain.json")
    lines = [json.dumps(key) + ": " + json.dumps(value) for key, value in golden.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
