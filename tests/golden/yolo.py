"""YOLO of v3-tiny's size in PyTorch, from "YOLOv3: An Incremental Improvement" (Redmon and Farhadi, 2018) and the published
configuration: the layers, the loss object by object, and the detections. `detection.py` computes its golden values."""

import torch
from torch import nn
from torch.nn import functional
from torchvision.ops import batched_nms, box_iou, complete_box_iou_loss
from torchvision.ops.misc import Conv2dNormActivation


def conv(layers, inputs, outputs, size):
    return layers + [Conv2dNormActivation(inputs, outputs, size, activation_layer=None), nn.LeakyReLU(0.1)]


class DensePool(nn.Module):
    def forward(self, x):
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=float("-inf")), 2, 1)


class YoloV3Tiny(nn.Module):
    def __init__(self, classes, width=16, size=(416, 416), priors=None, ciou=False, ignore=0.5, detections=100):
        super().__init__()
        self.classes, self.size, self.ciou, self.ignore, self.detections = classes, size, ciou, ignore, detections
        self.priors = priors or [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]
        w = width
        fine = conv([], 3, w, 3)
        for level in range(4):
            fine = conv(fine + [nn.MaxPool2d(2)], w << level, w << (level + 1), 3)
        coarse = conv([nn.MaxPool2d(2)], 16 * w, 32 * w, 3) + [DensePool()]
        coarse = conv(conv(coarse, 32 * w, 64 * w, 3), 64 * w, 16 * w, 1)
        outputs = 3 * (5 + classes)
        self.fine, self.coarse = nn.Sequential(*fine), nn.Sequential(*coarse)
        self.coarse_head = nn.Sequential(*conv([], 16 * w, 32 * w, 3), nn.Conv2d(32 * w, outputs, 1))
        self.lateral = nn.Sequential(*conv([], 16 * w, 8 * w, 1), nn.Upsample(scale_factor=2, mode="nearest"))
        self.fine_head = nn.Sequential(*conv([], 24 * w, 16 * w, 3), nn.Conv2d(16 * w, outputs, 1))

    def predictions(self, images):
        """For each map: numbers [N, 3, H, W, 5 + classes], boxes as corners in pixels, and its step."""
        fine = self.fine(images)
        coarse = self.coarse(fine)
        maps = [self.fine_head(torch.cat([self.lateral(coarse), fine], 1)), self.coarse_head(coarse)]
        result = []
        for at, (numbers, step) in enumerate(zip(maps, (16, 32))):
            n, _, h, w = numbers.shape
            numbers = numbers.view(n, 3, 5 + self.classes, h, w).permute(0, 1, 3, 4, 2)
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            priors = torch.tensor(self.priors[3 * at : 3 * at + 3], dtype=numbers.dtype).view(3, 1, 1, 2)
            centres = (numbers[..., :2].sigmoid() + torch.stack([columns, rows], -1)) * step
            sizes = priors * numbers[..., 2:4].exp()
            result.append((numbers, torch.cat([centres - sizes / 2, centres + sizes / 2], -1), step))
        return result

    def forward(self, images, targets=None):
        originals = [image.shape[-2:] for image in images]
        batch = torch.cat([functional.interpolate(image[None], size=self.size, mode="bilinear") for image in images])
        maps = self.predictions(batch)
        return self.losses(maps, targets, originals) if self.training else self.found(maps, originals)

    def losses(self, maps, targets, originals):
        losses = {"bbox_regression": 0, "objectness": 0, "classification": 0}
        for image, (target, original) in enumerate(zip(targets, originals)):
            ratio = torch.tensor([self.size[1] / original[1], self.size[0] / original[0]] * 2, dtype=maps[0][0].dtype)
            boxes = target["boxes"] * ratio
            stands = [torch.full(numbers.shape[1:4], -1) for numbers, _, _ in maps]
            for number, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
                w, h = x2 - x1, y2 - y1
                overlap = [min(w, pw) * min(h, ph) / (w * h + pw * ph - min(w, pw) * min(h, ph)) for pw, ph in self.priors]
                best = overlap.index(max(overlap))
                step = maps[best // 3][2]
                stands[best // 3][best % 3, int((y1 + y2) / 2 / step), int((x1 + x2) / 2 / step)] = number
            for (numbers, predicted, step), stands, at in zip(maps, stands, (0, 1)):
                numbers, predicted = numbers[image], predicted[image]
                there = stands >= 0
                target_of = there.to(numbers.dtype)
                objectness = functional.binary_cross_entropy_with_logits(numbers[..., 4], target_of, reduction="none")
                if len(boxes):
                    overlap = box_iou(predicted.detach().reshape(-1, 4), boxes).amax(1).view(there.shape)
                    objectness = torch.where((overlap > self.ignore) & ~there, torch.zeros_like(objectness), objectness)
                losses["objectness"] += objectness.sum()
                for prior, row, column in there.nonzero().tolist():
                    number = stands[prior, row, column]
                    x1, y1, x2, y2 = boxes[number]
                    w, h = x2 - x1, y2 - y1
                    of = numbers[prior, row, column]
                    if self.ciou:
                        losses["bbox_regression"] += complete_box_iou_loss(predicted[prior, row, column][None], boxes[number][None], reduction="sum")
                    else:
                        pw, ph = self.priors[3 * at + prior]
                        errors = [
                            of[0].sigmoid() - ((x1 + x2) / 2 / step - column), of[1].sigmoid() - ((y1 + y2) / 2 / step - row),
                            of[2] - torch.log(w / pw), of[3] - torch.log(h / ph),
                        ]
                        small = 2 - w * h / (self.size[0] * self.size[1])
                        losses["bbox_regression"] += small * sum(error**2 for error in errors)
                    classes = functional.one_hot(target["labels"][number], self.classes).to(numbers.dtype)
                    losses["classification"] += functional.binary_cross_entropy_with_logits(of[5:], classes, reduction="sum")
        return {name: loss / len(targets) for name, loss in losses.items()}

    def found(self, maps, originals):
        result = []
        for image, original in enumerate(originals):
            ratio = torch.tensor([original[1] / self.size[1], original[0] / self.size[0]] * 2, dtype=maps[0][0].dtype)
            boxes = torch.cat([boxes[image].reshape(-1, 4) for _, boxes, _ in maps])
            numbers = torch.cat([numbers[image].reshape(-1, 5 + self.classes) for numbers, _, _ in maps])
            scores = (numbers[:, 5:].sigmoid() * numbers[:, 4:5].sigmoid()).flatten()
            scores, at = scores.topk(min(1000, len(scores)))
            at, scores = at[scores > 0.005], scores[scores > 0.005]
            boxes, labels = boxes[at // self.classes], at % self.classes
            limit = torch.tensor([self.size[1], self.size[0]] * 2, dtype=boxes.dtype)
            boxes = boxes.clamp(min=0).minimum(limit)
            kept = batched_nms(boxes, scores, labels, 0.45)[: self.detections]
            result.append({"boxes": boxes[kept] * ratio, "scores": scores[kept], "labels": labels[kept]})
        return result
