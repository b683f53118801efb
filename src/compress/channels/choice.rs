//! The choice of channels to cut.

use super::{At, Channel, Channels, OP};
use crate::compress::pruning::{checked, lowest, norm};
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::options::options;
use crate::pattern;
use std::collections::{BTreeMap, BTreeSet};

/// The measure of a channel: those of the lowest are cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Importance {
    /// The mean norm of this order of its filters' weights, `(sum |w|^n / count)^(1/n)` (Li et al., "Pruning filters for
    /// efficient convnets", 2017).
    Norm(f64),
    /// The sum of the absolute weights of its batch norms (Liu et al., "Network slimming", 2017): see
    /// [`Slimming`](super::Slimming). Channels without a batch norm stay.
    BatchNormScale,
}

options! {
    /// Options of [`Channels::choose`].
    #[derive(Clone, Debug, PartialEq)]
    ChannelOptions {
        /// The fraction of the channels to cut.
        amount: f64 = 0.5,
        /// The measure of a channel.
        importance: Importance = Importance::Norm(1.0),
        /// Compares the channels of all groups with one another, so that groups that matter less lose more. Otherwise each loses
        /// the same share.
        global: bool = false,
        /// The number of channels that each group keeps at least.
        keep: usize = 1,
        /// Patterns of names: groups that a parameter of such a name computes stay whole.
        except: Vec<String> = Vec::new(),
    }
}

/// Channels that were chosen, as the positions along each axis of each parameter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    pub(super) places: BTreeMap<(usize, usize), BTreeSet<usize>>,
    channels: usize,
}

impl Selection {
    /// The number of channels.
    pub fn len(&self) -> usize {
        self.channels
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.channels == 0
    }

    fn add(&mut self, channel: &Channel) {
        self.channels += 1;
        for &(parameter, axis, place) in channel {
            self.places.entry((parameter, axis)).or_default().insert(place);
        }
    }
}

impl Channels {
    /// Chooses channels. Reads weights from the device.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the amount is not from 0 to 1, or a group should keep nothing; errors of the device.
    pub fn choose(&self, options: &ChannelOptions) -> Result<Selection> {
        checked(OP, options.amount)?;
        if options.keep == 0 {
            return Err(Error::invalid(OP, "keep is 0; a layer without channels has no output"));
        }
        let mut values = BTreeMap::new();
        let mut candidates: Vec<(usize, &Channel, f64)> = Vec::new();
        for (group, of) in self.groups.iter().enumerate() {
            let stays = |name: &String| options.except.iter().any(|pattern| pattern::matches(pattern, name));
            if of.filters.iter().any(stays) {
                continue;
            }
            for channel in &of.channels {
                if let Some(importance) = self.importance(channel, options.importance, &mut values)? {
                    candidates.push((group, channel, importance));
                }
            }
        }
        let mut selection = Selection::default();
        let mut left: Vec<usize> = self.groups.iter().map(|group| group.channels.len()).collect();
        let mut cut = |candidates: &[(usize, &Channel, f64)]| {
            let count = nearest::<usize>((options.amount * candidates.len() as f64).round_ties_even());
            let scores: Vec<f64> = candidates.iter().map(|(_, _, importance)| *importance).collect();
            let mut chosen = lowest(&scores, (0..scores.len()).collect(), count);
            chosen.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            for at in chosen {
                let (group, channel, _) = candidates[at];
                if left[group] > options.keep {
                    left[group] -= 1;
                    selection.add(channel);
                }
            }
        };
        match options.global {
            true => cut(&candidates),
            false => candidates.chunk_by(|one, other| one.0 == other.0).for_each(cut),
        }
        Ok(selection)
    }

    /// The importance of a channel, where it has one. `values` are those that were read before.
    fn importance(
        &self,
        channel: &Channel,
        importance: Importance,
        values: &mut BTreeMap<usize, Vec<f64>>,
    ) -> Result<Option<f64>> {
        let counts = |&&(parameter, axis, _): &&At| match importance {
            Importance::Norm(_) => self.filters.contains(&(parameter, axis)),
            Importance::BatchNormScale => self.norms.contains(&parameter),
        };
        let mut weights = Vec::new();
        for &(parameter, axis, place) in channel.iter().filter(counts) {
            let all = match values.entry(parameter) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    new.insert(self.parameters[parameter].value().to_f64()?)
                }
            };
            let shape = self.parameters[parameter].holds().0;
            let inner: usize = shape[axis + 1..].iter().product();
            let size = shape[axis];
            let starts = (0..all.len() / inner / size).map(|outer| (outer * size + place) * inner);
            weights.extend(starts.flat_map(|start| all[start..start + inner].iter().copied()));
        }
        Ok(match importance {
            _ if weights.is_empty() => None,
            Importance::Norm(n) => {
                let count = if n.is_finite() { (weights.len() as f64).powf(n.recip()) } else { 1.0 };
                Some(norm(weights.into_iter(), n) / count)
            }
            Importance::BatchNormScale => Some(weights.iter().map(|weight| weight.abs()).sum()),
        })
    }
}
