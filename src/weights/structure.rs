//! The part of a file of weights that records the changes of compression to a network's structure.

use super::reader::Reader;
use crate::error::{Error, Result};
use crate::nn::{Factors, Grouped, Module};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// Its key in safetensors' metadata, as JSON.
const TAG: &str = "wgrad.structure";

/// The changes of a network since it was built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Structure {
    /// Parameters that are smaller than they were made.
    #[serde(default)]
    pub resized: BTreeSet<String>,
    /// Groups of convolutions that have fewer than they were made with.
    #[serde(default)]
    pub groups: BTreeMap<String, usize>,
    /// Layers that were factored, with their factors.
    #[serde(default)]
    pub factors: BTreeMap<String, Factors>,
}

impl Structure {
    pub fn of(model: &dyn Module) -> Structure {
        let resized = model.parameters().into_iter().filter(|parameter| parameter.is_resized());
        let groups = grouped(model).into_iter().filter(|(_, grouped)| grouped.is_changed());
        let layers = model.named_modules().into_iter();
        Structure {
            factors: layers.filter_map(|(name, layer)| Some((name, layer.weighted()?.factors()?))).collect(),
            resized: resized.map(|parameter| parameter.name().to_string()).collect(),
            groups: groups.map(|(name, grouped)| (name, grouped.groups())).collect(),
        }
    }

    /// Records the changes, if there are any, in a file's metadata.
    pub fn write(&self, path: &Path, about: &mut HashMap<String, String>) -> Result<()> {
        if *self != Structure::default() {
            let text = serde_json::to_string(self).map_err(|error| Error::file(path, error))?;
            about.insert(TAG.to_string(), text);
        }
        Ok(())
    }

    /// The changes that a file tells of; none where it tells of nothing.
    pub fn read(reader: &Reader) -> Result<Structure> {
        let Some(text) = reader.about(TAG) else { return Ok(Structure::default()) };
        serde_json::from_str(text).map_err(|error| Error::file(reader.path(), format!("{TAG}: {error}")))
    }

    /// Takes the layers of a model apart that are so in the file.
    pub fn take_apart(&self, reader: &Reader, model: &dyn Module) -> Result<()> {
        for (name, &factors) in &self.factors {
            // Layers inside a factored layer exist by now.
            let layers = model.named_modules();
            let of_name = layers.iter().filter(|(other, _)| other == name);
            let found: Vec<_> = of_name.filter_map(|(_, layer)| layer.weighted()).collect();
            if found.iter().any(|layer| layer.factors() == Some(factors)) {
                continue;
            }
            let whole = found.into_iter().find(|layer| layer.factors().is_none()).ok_or_else(|| {
                Error::file(reader.path(), format!("{TAG}: {name:?} is no layer of the network that could be two"))
            })?;
            whole.replace_with_zeros(factors)?;
        }
        Ok(())
    }

    /// The convolutions whose groups are others in the file.
    pub fn regrouped(&self, reader: &Reader, model: &dyn Module) -> Result<Vec<(Grouped, usize)>> {
        let layers = grouped(model);
        let of = |(name, &groups): (&String, &usize)| {
            let missing = || Error::file(reader.path(), format!("{TAG}: {name:?} is no convolution of the network"));
            layers.get(name).map(|layer| (layer.clone(), groups)).ok_or_else(missing)
        };
        self.groups.iter().map(of).collect()
    }
}

/// The convolutions of a model by their names.
fn grouped(model: &dyn Module) -> BTreeMap<String, Grouped> {
    model.named_modules().into_iter().filter_map(|(name, module)| Some((name, module.grouped()?))).collect()
}
