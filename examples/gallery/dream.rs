//! DeepDream on digits.

use super::common::Result;
use super::context::{Context, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{DeepDreamOptions, Objective, deep_dream};

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let net = context.lenet()?;
    // Nine digits in three rows: the layer takes images of any size, though the network does not.
    let digits = context.each_digit()?.narrow(0, 1, 9)?.reshape(&[3, 3, 28, 28])?;
    let before = (digits.permute([0, 2, 1, 3])?.contiguous()?.reshape(&[1, 1, 84, 84])? * 0.7)?;
    let options = DeepDreamOptions::default().octaves(3).steps(context.amount(12, 1)).lr(0.02).jitter(8);
    let (mut pictures, mut numbers) = (vec![before.clone()], Vec::new());
    for layer in ["conv1", "conv2"] {
        let objective = Objective::Layer(layer.into());
        let after = deep_dream(net, &before, &objective, &options)?;
        let value = |images: &Tensor| Ok::<f64, wgrad::Error>(objective.values(net, images)?.to_f64()?[0]);
        numbers.push((layer, format!("{:.1}", value(&after)? / value(&before)?)));
        pictures.push(after);
    }
    sheet(&Tensor::cat(&pictures.iter().collect::<Vec<_>>(), 0)?, pictures.len(), 3, path)?;
    Ok(numbers)
}
