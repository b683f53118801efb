//! The networks to train, with their batches.

use wgrad::models::segmentation::{UNet, UNetOptions};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::{Device, Result, Tensor};

/// A network and the shape of its input.
pub struct Network {
    name: &'static str,
    /// Images in a batch on a GPU and on a software adapter, which a large one would keep busy for minutes.
    batches: [usize; 2],
    /// Channels, height and width of an image.
    image: [usize; 3],
    /// True if every pixel has a label.
    labels_pixels: bool,
    make: fn(&Scope) -> Result<Box<dyn Module>>,
}

/// Classes of all networks but U-Net, which has two.
const CLASSES: usize = 10;

/// All of them.
pub const NETWORKS: [Network; 5] = [
    Network {
        name: "lenet5",
        batches: [64, 64],
        image: [1, 28, 28],
        labels_pixels: false,
        make: |scope| Ok(Box::new(LeNet5::new(scope)?)),
    },
    Network {
        name: "cifar_cnn",
        batches: [64, 64],
        image: [3, 32, 32],
        labels_pixels: false,
        make: |scope| Ok(Box::new(CifarCnn::new(scope)?)),
    },
    Network {
        name: "resnet18",
        batches: [128, 8],
        image: [3, 32, 32],
        labels_pixels: false,
        make: |scope| Ok(Box::new(ResNet::new(scope, &ResNetOptions::resnet18_cifar().classes(CLASSES))?)),
    },
    Network {
        name: "mobilenet_v1",
        batches: [128, 8],
        image: [3, 64, 64],
        labels_pixels: false,
        make: |scope| Ok(Box::new(MobileNetV1::new(scope, CLASSES, 1.0)?)),
    },
    Network {
        name: "unet",
        batches: [32, 4],
        image: [3, 64, 64],
        labels_pixels: true,
        make: |scope| Ok(Box::new(UNet::new(scope, &UNetOptions::default())?)),
    },
];

/// A network on a device with a batch of random images, which stays there.
pub struct Prepared {
    pub model: Box<dyn Module>,
    pub images: Tensor,
    pub labels: Tensor,
}

impl Network {
    /// Images in a batch unless the command line sets another number.
    pub fn batch(&self, device: &Device) -> usize {
        self.batches[usize::from(device.adapter().is_none_or(|adapter| adapter.is_cpu))]
    }

    /// The name of a task's rows: comparisons are by name, so a batch other than a GPU's is part of it.
    pub fn row(&self, task: &str, batch: usize) -> String {
        let name = format!("{}_{task}", self.name);
        if batch == self.batches[0] { name } else { format!("{name}_batch{batch}") }
    }

    /// New weights and a random batch.
    pub fn prepare(&self, device: &Device, batch: usize) -> Result<Prepared> {
        let [channels, height, width] = self.image;
        let model = (self.make)(&Scope::new(device))?;
        let images = Tensor::randn(device, &[batch, channels, height, width])?;
        let (shape, classes) = match self.labels_pixels {
            true => (vec![batch, height, width], 2),
            false => (vec![batch], CLASSES),
        };
        let labels: Vec<i32> = (0..shape.iter().product()).map(|i: usize| (i * 7 % classes) as i32).collect();
        Ok(Prepared { model, images, labels: Tensor::from_slice(device, &labels, &shape)? })
    }
}
