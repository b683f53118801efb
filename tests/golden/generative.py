"""Writes generative.json: DCGAN as PyTorch's tutorial has it, a variational autoencoder, and ESRGAN's generator, from the papers.

    python tests/golden/generative.py

Weights follow from their names (`from_names.py`). Outputs, losses and gradients are computed in float64; `f32` is the largest
difference of PyTorch's own float32 results from these, as the test counts it.
"""

import json
import pathlib

import torch
from torch import nn

from from_names import digest, fill, names, numbers

F = nn.functional


def tensor(name, *shape, low=-1.0, high=1.0):
    count = torch.Size(shape).numel()
    unit = torch.from_numpy(numbers(name, count)).view(shape)
    return (0.5 * (low + high) + 0.5 * (high - low) * unit).float().double()


class Generator(nn.Module):
    def __init__(self, size=64, channels=3, latent=100, width=64):
        super().__init__()
        layers, maps, side = [], width * size // 8, 4
        layers += [nn.ConvTranspose2d(latent, maps, 4, 1, 0, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
        while side < size // 2:
            layers += [nn.ConvTranspose2d(maps, maps // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(maps // 2), nn.ReLU()]
            maps, side = maps // 2, 2 * side
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(maps, channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, noise):
        return self.main(noise[:, :, None, None])


class Discriminator(nn.Module):
    def __init__(self, size=64, channels=3, width=64):
        super().__init__()
        layers, maps, side = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)], width, size // 2
        while side > 4:
            layers += [nn.Conv2d(maps, 2 * maps, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * maps), nn.LeakyReLU(0.2)]
            maps, side = 2 * maps, side // 2
        self.main = nn.Sequential(*layers, nn.Conv2d(maps, 1, 4, 1, 0, bias=False))

    def forward(self, images):
        return self.main(images).view(-1)


class Vae(nn.Module):
    def __init__(self, size, channels, widths, latent):
        super().__init__()
        sizes, left = [channels, *widths], size >> len(widths)
        down = [(nn.Conv2d(a, b, 4, 2, 1), nn.ReLU()) for a, b in zip(sizes, sizes[1:])]
        up = [(nn.ConvTranspose2d(b, a, 4, 2, 1), nn.ReLU()) for a, b in reversed(list(zip(sizes, sizes[1:])))]
        self.encoder = nn.Sequential(*sum(down, ()))
        self.mean = nn.Linear(widths[-1] * left * left, latent)
        self.log_var = nn.Linear(widths[-1] * left * left, latent)
        self.expand = nn.Linear(latent, widths[-1] * left * left)
        self.decoder = nn.Sequential(*sum(up, ())[:-1])
        self.shape = (widths[-1], left, left)

    def forward(self, images, noise):
        features = self.encoder(images).flatten(1)
        mean, log_var = self.mean(features), self.log_var(features)
        codes = mean + torch.exp(0.5 * log_var) * noise
        return self.decoder(F.relu(self.expand(codes)).unflatten(1, self.shape)), mean, log_var


class DenseBlock(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        for at in range(5):
            outputs = growth if at < 4 else width
            self.add_module(f"conv{at + 1}", nn.Conv2d(width + at * growth, outputs, 3, 1, 1))

    def forward(self, x):
        maps = [x]
        for at in range(4):
            maps.append(F.leaky_relu(getattr(self, f"conv{at + 1}")(torch.cat(maps, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(maps, 1))


class ResidualInResidual(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(width, growth) for _ in range(3))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RrdbNet(nn.Module):
    def __init__(self, scale=4, channels=3, width=64, blocks=23, growth=32):
        super().__init__()
        self.shrink = 4 // scale
        self.conv_first = nn.Conv2d(channels * self.shrink**2, width, 3, 1, 1)
        self.body = nn.Sequential(*[ResidualInResidual(width, growth) for _ in range(blocks)])
        self.conv_body, self.conv_up1, self.conv_up2, self.conv_hr = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(4))
        self.conv_last = nn.Conv2d(width, channels, 3, 1, 1)

    def forward(self, x):
        x = self.conv_first(F.pixel_unshuffle(x, self.shrink))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def digests(named):
    return {name: digest(name, value) for name, value in named.items()}


def gradients(**networks):
    return {f"{at}.{name}": p.grad for at, net in networks.items() for name, p in net.named_parameters() if p.grad is not None}


def gan(dtype, training):
    """Both networks' outputs and gradients by a linear loss, and, in training, the weights after an alternating step by SGD."""
    generator, discriminator = Generator(16, 2, 6, 4), Discriminator(16, 2, 4)
    for net in (generator, discriminator):
        fill(net)
        net.to(dtype).train(training)
    noise, real = tensor("noise", 5, 6).to(dtype), tensor("real", 5, 2, 16, 16).to(dtype)
    drawn = generator(noise)
    logits = discriminator(drawn)
    drawn.retain_grad()
    logits.square().sum().backward()
    result = {"drawn": digest("drawn", drawn.detach()), "logits": logits.tolist()}
    result["gradients"] = digests(gradients(g=generator, d=discriminator) | {"drawn": drawn.grad})
    if training:
        for net in (generator, discriminator):
            fill(net.double())
            net.to(dtype).zero_grad()
        draws, tells = (torch.optim.SGD(net.parameters(), lr=0.5) for net in (generator, discriminator))
        drawn = generator(noise)
        loss_d = bce(discriminator(real), 0.875) + bce(discriminator(drawn.detach()), 0.0)
        loss_d.backward()
        tells.step()
        loss_g = bce(discriminator(drawn), 1.0)
        loss_g.backward()
        draws.step()
        result["losses"] = [loss_d.item(), loss_g.item()]
        after = {f"{at}.{k}": v for at, net in (("g", generator), ("d", discriminator)) for k, v in net.state_dict().items()}
        result["after"] = digests({name: value for name, value in after.items() if value.is_floating_point()})
    return result


def vae(dtype, _):
    net = Vae(12, 2, (3, 5), 4)
    fill(net)
    net.to(dtype)
    images, noise = tensor("images", 3, 2, 12, 12, low=0.0).to(dtype).requires_grad_(), tensor("noise", 3, 4).to(dtype)
    logits, mean, log_var = net(images, noise)
    reconstruction = F.binary_cross_entropy_with_logits(logits, images.detach(), reduction="sum") / 3
    divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp()) / 3
    (reconstruction + 4 * divergence).backward()
    return {
        "logits": digest("logits", logits.detach()), "mean": mean.flatten().tolist(),
        "losses": [reconstruction.item(), divergence.item()],
        "gradients": digests(gradients(n=net) | {"input": images.grad}),
    }


def upscaler(scale):
    def run(dtype, _):
        net, discriminator = RrdbNet(scale, 2, 5, 2, 3), Discriminator(16, 2, 4)
        for module in (net, discriminator):
            fill(module)
            module.to(dtype).eval()
        small = tensor("small", 3, 2, 16 // scale, 16 // scale).to(dtype).requires_grad_()
        large = tensor("large", 3, 2, 16, 16).to(dtype)
        drawn = net(small)
        r, d = discriminator(large), discriminator(drawn)
        loss_d = bce(r - d.mean(), 1.0) + bce(d - r.mean(), 0.0)
        loss_g = bce(r - d.mean(), 0.0) + bce(d - r.mean(), 1.0)
        (F.l1_loss(drawn, large) + 0.5 * loss_g).backward()
        return {
            "drawn": digest("drawn", drawn.detach()), "losses": [loss_d.item(), loss_g.item()],
            "gradients": digests(gradients(n=net, d=discriminator) | {"input": small.grad}),
        }

    return run


def apart(result, other):
    """The largest difference of two results, each in the size of its own."""
    if isinstance(result, dict):
        return max(apart(result[key], other[key]) for key in result)
    return max(abs(a - b) for a, b in zip(result, other)) / max(map(abs, result))


def main():
    cases = {"gan": gan, "vae": vae, "upscaler2": upscaler(2), "upscaler4": upscaler(4)}
    result = {
        "names": {
            "generator": names(Generator()), "generator16": names(Generator(16, 2, 6, 4)), "discriminator": names(Discriminator()),
            "discriminator16": names(Discriminator(16, 2, 4)), "rrdb": names(RrdbNet()), "rrdb2": names(RrdbNet(2, 3, 64, 6)),
        }
    }
    for name, run in cases.items():
        for mode in ("eval", "train") if name == "gan" else ("train",):
            exact, single = (run(dtype, mode == "train") for dtype in (torch.float64, torch.float32))
            result[f"{name}.{mode}"] = exact | {"f32": apart(exact, single)}
            print(name, mode, result[f"{name}.{mode}"]["f32"])
    pathlib.Path(__file__).with_name("generative.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


main()
