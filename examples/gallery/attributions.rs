//! The pixels that an answer depends on, by the methods for inputs.

use super::common::Result;
use super::context::{Context, columns, rgb, sheet, signed};
use super::page::Numbers;
use std::path::Path;
use wgrad::Tensor;
use wgrad::explain::{
    Explainer, GradientShapOptions, IntegratedGradientsOptions, NoiseTunnelOptions, OcclusionOptions, RiseOptions,
};

const SHOWN: usize = 4;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let explainer = Explainer::new(context.lenet()?);
    let x = &context.each_digit()?.narrow(0, 2, SHOWN)?;
    let noise = NoiseTunnelOptions::default().samples(context.amount(32, 2)).std(0.15);
    let shap = GradientShapOptions::default().samples(context.amount(32, 2));
    let steps = IntegratedGradientsOptions::default().steps(context.amount(50, 2));
    let integrated = explainer.integrated_gradients(x, &steps)?;
    let delta = explainer.convergence_delta(&integrated, x, None)?.abs()?.amax_all()?.to_f64()?[0];
    let rise = RiseOptions::default().masks(context.amount(2000, 8));
    let maps = [
        explainer.saliency(x)?,
        explainer.input_x_gradient(x)?,
        integrated,
        explainer.noise_tunnel(x, &noise, |explainer, noisy| explainer.vanilla_gradient(noisy))?,
        explainer.gradient_shap(x, &x.zeros_like()?, &shap)?,
        explainer.guided_backprop(x)?,
        explainer.deconvolution(x)?,
        explainer.deep_lift(x, None)?,
        explainer.occlusion(x, &OcclusionOptions::default().window(4).stride(2))?,
        // Masks show a part of the whole picture's probability everywhere.
        above_mean(&explainer.rise(x, &rise)?)?,
    ];
    let mut parts = vec![rgb(x)?];
    for map in &maps {
        parts.push(signed(map)?);
    }
    sheet(&columns(&parts)?, parts.len(), 2, path)?;
    Ok(vec![("delta", format!("{delta:.4}"))])
}

fn above_mean(maps: &Tensor) -> wgrad::Result<Tensor> {
    maps - maps.mean_keepdim([1, 2, 3])?
}
