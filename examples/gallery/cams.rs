//! Class activation maps over digits.

use super::common::Result;
use super::context::{Context, columns, rgb, sheet};
use super::page::Numbers;
use std::path::Path;
use wgrad::explain::{CamMethod, ColourMap, Explainer};

const SHOWN: usize = 4;

pub fn draw(context: &Context, path: &Path) -> Result<Numbers> {
    let explainer = Explainer::new(context.lenet()?);
    let x = context.each_digit()?.narrow(0, 2, SHOWN)?;
    let grey = rgb(&x)?;
    let half = (&grey * 0.5)?;
    let mut parts = vec![grey];
    // Plain CAM is for networks that end in a mean over positions.
    for method in CamMethod::ALL.into_iter().filter(|&method| method != CamMethod::Cam) {
        let map = ColourMap::Jet.paint(&explainer.cam(&x, "conv2", method)?)?;
        parts.push((&half + (map * 0.5)?)?);
    }
    sheet(&columns(&parts)?, parts.len(), 3, path)?;
    Ok(vec![])
}
