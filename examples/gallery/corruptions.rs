//! A drawing under the fifteen common corruptions.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::data::{Dataset, Shapes};
use wgrad::robust::{Corruption, Severity};

const SIDE: usize = 32;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let drawing = Shapes::new(1, [SIDE; 2], context.flags.seed + 2)?.get(0)?.image;
    let pixels: Vec<f32> = drawing.pixels().iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let image = Tensor::from_slice(&context.device, &pixels, &[1, 3, SIDE, SIDE])?;
    let severity = Severity::cifar(4)?;
    let mut pictures = vec![image.clone()];
    for corruption in Corruption::ALL {
        pictures.push(corruption.apply(&image, severity)?);
    }
    sheet(&Tensor::cat(&pictures.iter().collect::<Vec<_>>(), 0)?, 8, 2, path)?;
    Ok(vec![])
}
