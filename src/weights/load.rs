//! Values from a file into a model.

use super::structure::Structure;
use super::{Metadata, Reader};
use crate::dtype::DType;
use crate::error::{Error, IncompatibleKeys, Result};
use crate::graph::{Device, no_grad};
use crate::models;
use crate::nn::{Module, Scope, state_dict};
use crate::options::options;
use crate::pattern;
use crate::shape::Shape;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// The key of safetensors' metadata by which a checkpoint is known.
pub(crate) const CHECKPOINT: &str = "wgrad.checkpoint";

/// A count that files from before PyTorch 0.4.1 don't have. Nothing is computed from it, unless a norm has no momentum.
const COUNT: &str = "num_batches_tracked";

options! {
    /// Options of [`load`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    LoadOptions {
        /// Loads everything that fits and leaves the rest of the model as it is, such as a head with another number of
        /// classes. Without it, a file that doesn't fit is an error.
        partial: bool = false,
        /// The dictionary of a file that holds several, such as `ema`; `a.b` is nested. By default it is the one with the most
        /// names that fit.
        dictionary: Option<String> = None,
        /// Pairs of patterns; see [`rename`](LoadOptions::rename).
        renames: Vec<(String, String)> = Vec::new(),
    }
}

impl LoadOptions {
    /// Renames the names of the file that match a pattern, before they are looked up in the model. `*` matches any characters,
    /// as few as possible, `?` one; the stars of the new name are replaced by the matched texts, in order. The first of several
    /// matching patterns counts.
    ///
    /// ```
    /// use wgrad::weights::LoadOptions;
    /// // `layer1.0.conv1.weight` is `blocks.1.0.conv1.weight` here, and the head has another name.
    /// let options = LoadOptions::default().rename("layer?.*", "blocks.*.*").rename("fc.*", "head.*");
    /// ```
    #[must_use = "it returns options with the pattern"]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> LoadOptions {
        self.renames.push((from.into(), to.into()));
        self
    }
}

/// The fit of a file to a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Parameters whose values came from the file, by their names in the model.
    pub loaded: Vec<String>,
    /// The names that don't fit. They are empty unless [`LoadOptions::partial`] is set.
    pub keys: IncompatibleKeys,
    /// The prefix that the names have in the file and not in the model, such as `state_dict.`, and `module.` after PyTorch's
    /// `DataParallel`.
    pub prefix: String,
}

/// Loads the values of a model's parameters from a file of weights of any origin: one written by [`save`](super::save),
/// by `safetensors` for PyTorch or by `torch.save`, a `.npz` file, or a checkpoint of
/// [`train::save`](crate::train::save), whose optimizer state is left out ([`Reader`] says more about files). Numbers
/// are converted to the parameters' types. A piece of a tensor at a time is in the host's memory.
///
/// The model loses channels, and its layers are taken apart, as those of the file's network were
/// ([`channels`](crate::compress::channels), [`low_rank`](crate::compress::low_rank)); layers even where the rest does not fit.
///
/// `load` finds the right dictionary in a file that holds others besides, such as `state_dict`, and a prefix before the model's
/// names. A parameter that occurs several times in the model may have its value under any of its names.
///
/// ```
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::weights::{self, LoadOptions, SaveOptions};
/// use wgrad::{Device, Error};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("linear.safetensors");
///
/// let device = Device::reference();
/// weights::save(&path, &Linear::new(&Scope::new(&device), 4, 10)?, &SaveOptions::default())?;
/// let model = Linear::new(&Scope::new(&device), 4, 10)?;
/// assert_eq!(weights::load(&path, &model, &LoadOptions::default())?.loaded, ["weight", "bias"]);
///
/// let other = Linear::without_bias(&Scope::new(&device), 4, 10)?;
/// assert!(matches!(weights::load(&path, &other, &LoadOptions::default()), Err(Error::UnfitWeights { .. })));
/// let report = weights::load(&path, &other, &LoadOptions::default().partial(true))?;
/// assert_eq!(report.keys.unexpected, ["bias"]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::File`] if the file can't be read, is damaged, or holds numbers that a parameter's type does not have;
/// [`Error::UnfitWeights`] if it doesn't fit, or with [`partial`](LoadOptions::partial) if nothing does;
/// [`Error::Invalid`] if two parameters have one name, or two names of the file become one. Nothing has changed then, unless
/// reading fails in the middle of the file.
pub fn load(path: impl AsRef<Path>, model: &dyn Module, options: &LoadOptions) -> Result<Report> {
    let mut reader = Reader::open(path)?;
    load_from(&mut reader, model, options)
}

/// Builds the network that a file says its weights belong to, and loads them.
///
/// # Errors
/// As [`Metadata::read`] and [`load`]; [`Error::File`] also if no network fits the file's description.
pub fn open(path: impl AsRef<Path>, device: &Device) -> Result<(Box<dyn Module>, Metadata)> {
    let (model, metadata) = build(path.as_ref(), device)?;
    load(path, &*model, &LoadOptions::default())?;
    Ok((model, metadata))
}

/// The network of a file, with new weights. One that can't be built is the file's fault.
pub(crate) fn build(path: &Path, device: &Device) -> Result<(Box<dyn Module>, Metadata)> {
    let metadata = Metadata::read(path)?;
    let built = models::by_name(&metadata.architecture, &Scope::new(device), &metadata.options);
    let model = built.map_err(|error| match error {
        Error::Invalid { .. } | Error::TooLarge { .. } => Error::file(path, error),
        error => error,
    })?;
    Ok((model, metadata))
}

fn load_from(reader: &mut Reader, model: &dyn Module, options: &LoadOptions) -> Result<Report> {
    let structure = Structure::read(reader)?;
    structure.take_apart(reader, model)?;
    let known = state_dict::names(model)?;
    let (prefix, names) = names(reader, &known, options)?;
    let mut held = BTreeMap::new();
    for (name, &at) in &names {
        let entry = &reader.entries()[at];
        // A type that can't be read matters only where it is needed.
        let dtype = entry.held_as().unwrap_or(DType::F32);
        let shape = Shape::new(entry.shape());
        held.insert(
            name.as_str(),
            (shape.map_err(|error| Error::file(reader.path(), format!("{name}: {error}")))?, dtype),
        );
    }
    let is_resized = |at: usize| structure.resized.contains(reader.entries()[at].name());
    let resized = names.iter().filter(|(_, at)| is_resized(**at)).map(|(name, _)| name.clone()).collect();
    let regrouped = structure.regrouped(reader, model)?;
    let parts = parts_of_checkpoint(reader);
    let state_dict::Fit { mut found, mut keys } = state_dict::fit(model, &held, &resized)?;
    keys.unexpected.retain(|name| !parts.iter().any(|part| name.starts_with(part)));
    keys.missing.retain(|name| name.rsplit('.').next() != Some(COUNT));
    let fits = if options.partial { !found.is_empty() } else { keys.is_empty() };
    if !fits {
        return Err(Error::UnfitWeights { path: reader.path().to_path_buf(), keys: Box::new(keys) });
    }
    let loaded = found.iter().map(|(parameter, _)| parameter.name().to_string()).collect();
    // Integers may be out of their type's range, so they come first.
    found.sort_by_key(|(parameter, _)| parameter.holds().1.is_float());
    for (parameter, name) in found {
        let (shape, dtype, device) = parameter.holds();
        let value = no_grad(|| reader.read_as(names[name], &device, dtype))?;
        if *value.shape() == shape { parameter.assign(&value)? } else { parameter.resize(&value)? }
    }
    regrouped.iter().for_each(|(layer, groups)| layer.set(*groups));
    Ok(Report { loaded, keys, prefix })
}

/// The entries of a file under the names that are looked for in the model, and the prefix that was taken away.
fn names(
    reader: &Reader,
    known: &BTreeSet<String>,
    options: &LoadOptions,
) -> Result<(String, BTreeMap<String, usize>)> {
    let mut renamed = Vec::new();
    for (at, entry) in reader.entries().iter().enumerate() {
        let (dictionary, key) = (entry.dictionary(), &entry.name()[entry.dictionary().len()..]);
        if options.dictionary.as_ref().is_none_or(|asked| dictionary.trim_end_matches('.') == asked) {
            let other = options.renames.iter().find_map(|(from, to)| pattern::rename(from, to, key)).transpose()?;
            renamed.push((dictionary, other.unwrap_or_else(|| key.to_string()), at));
        }
    }
    if let (Some(asked), []) = (&options.dictionary, &renamed[..]) {
        let mut there: Vec<&str> =
            reader.entries().iter().map(|entry| entry.dictionary().trim_end_matches('.')).collect();
        there.dedup();
        let reason = format!("it has no dictionary {asked:?} of tensors, but {there:?}");
        return Err(Error::file(reader.path(), reason));
    }
    let keys = renamed.iter().map(|(dictionary, key, _)| (*dictionary, key.as_str()));
    let (dictionary, prefix) = place(keys, known);
    let mut names = BTreeMap::new();
    for (_, key, at) in renamed.iter().filter(|(within, ..)| *within == dictionary) {
        let name = key.strip_prefix(prefix).unwrap_or(key);
        if let Some(other) = names.insert(name.to_string(), *at) {
            let (one, two) = (reader.entries()[other].name(), reader.entries()[*at].name());
            return Err(Error::invalid("weights::load", format!("{one} and {two} would both be {name}")));
        }
    }
    Ok((format!("{dictionary}{prefix}"), names))
}

/// The dictionary, and the prefix without which most of its keys are known. Among equals, the first dictionary and the
/// shortest prefix.
fn place<'a>(keys: impl Iterator<Item = (&'a str, &'a str)>, known: &BTreeSet<String>) -> (&'a str, &'a str) {
    let mut dictionaries: Vec<&str> = Vec::new();
    let mut orders: HashMap<&str, usize> = HashMap::new();
    let mut fitting: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (dictionary, key) in keys {
        let order = *orders.entry(dictionary).or_insert_with(|| {
            dictionaries.push(dictionary);
            dictionaries.len() - 1
        });
        let ends = key.match_indices('.').map(|(at, _)| at + 1);
        for end in std::iter::once(0).chain(ends).filter(|&end| known.contains(&key[end..])) {
            *fitting.entry((order, &key[..end])).or_default() += 1;
        }
    }
    let best =
        fitting.into_iter().max_by_key(|((order, prefix), count)| (*count, Reverse(*order), Reverse(prefix.len())));
    let (order, prefix) = best.map_or((0, ""), |(place, _)| place);
    (dictionaries.get(order).copied().unwrap_or_default(), prefix)
}

/// The beginnings of names that belong to a checkpoint's other parts.
fn parts_of_checkpoint(reader: &Reader) -> Vec<String> {
    let about = reader.about(CHECKPOINT).and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let state = about.as_ref().and_then(|about| about.get("state")?.as_object());
    state.map(|parts| parts.keys().map(|part| format!("{part}.")).collect()).unwrap_or_default()
}
