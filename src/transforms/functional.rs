//! Transforms of images `[N, C, H, W]` by given numbers: `torchvision.transforms.v2.functional`.
