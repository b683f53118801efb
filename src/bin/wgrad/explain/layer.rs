//! The layer whose maps are weighted.

use crate::failure::{Failure, Outcome};
use crate::network::Network;
use wgrad::nn::{Module, Row};

/// True for maps of more than one position.
fn has_maps(row: &Row) -> bool {
    matches!(row.output[..], [_, _, height, width] if height * width > 1) && !row.name.is_empty()
}

/// The layer of a name, or else the last one with maps. None where no layer has maps and none is needed.
pub fn chosen(network: &Network, name: Option<&str>, is_needed: bool) -> Outcome<Option<String>> {
    let summary = network.model.summary(&network.about.options.images(1))?;
    let rows: Vec<&Row> = summary.rows.iter().filter(|row| has_maps(row)).collect();
    if let Some(name) = name {
        return match rows.iter().any(|row| row.name == name) {
            true => Ok(Some(name.to_string())),
            false => {
                let outer: Vec<&str> = rows.iter().filter(|row| row.depth == 1).map(|row| row.name.as_str()).collect();
                Err(Failure::new(format!("the network has no layer {name:?} with maps")).hint(format!(
                    "it has {}, and those within them: `wgrad summary` lists them all",
                    outer.join(", ")
                )))
            }
        };
    }
    match last(&rows) {
        None if is_needed => Err(Failure::new("no layer of the network has maps, so there is no class activation map")
            .hint("--method saliency and others need none")),
        found => Ok(found.map(|row| row.name.clone())),
    }
}

/// The outermost layer that ends with the last maps: `layer4` rather than its last activation.
fn last<'a>(rows: &[&'a Row]) -> Option<&'a Row> {
    let innermost = rows.last()?;
    let ends_with = |row: &&&Row| {
        let is_around = innermost.name == row.name || innermost.name.starts_with(&format!("{}.", row.name));
        is_around && row.output == innermost.output
    };
    rows.iter().find(ends_with).copied()
}
