//! Recipes, from which pipelines are made apart from their sizes, and the pipelines of one recipe: one for each of a kernel's
//! sizes, or one for all of them.

use crate::device::pipeline::Pipeline;
use crate::shader::{Kernel, sizes};
use std::sync::{Arc, Weak};

/// Sizes of one kernel that a graph may bring at once before one pipeline serves all of them.
const MOST_SIZES: usize = 2;

/// Everything that a kernel's text is made from, except the values of sizes.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Recipe {
    template: &'static str,
    constants: Vec<(&'static str, String)>,
    sizes: Vec<&'static str>,
    aliases: Vec<(&'static str, &'static str)>,
    hooks: Vec<(&'static str, String)>,
    declarations: String,
    extra_words: usize,
    checked: bool,
}

impl Recipe {
    pub fn of(kernel: &Kernel) -> Recipe {
        let open = |text: &String| sizes::open(text).into_owned();
        Recipe {
            template: kernel.template.text,
            constants: kernel.constants.clone(),
            sizes: kernel.sizes.iter().map(|size| size.0).collect(),
            aliases: kernel.aliases.clone(),
            hooks: kernel.hooks.iter().map(|(name, body)| (*name, open(body))).collect(),
            declarations: open(&kernel.declarations),
            extra_words: kernel.extra_words,
            checked: kernel.checked,
        }
    }
}

/// Pipelines of one recipe.
#[derive(Default)]
pub(super) struct Forms {
    /// Those with inlined sizes.
    of_sizes: Vec<(sizes::Named, Weak<Pipeline>)>,
    /// The one that reads sizes from its parameters.
    pub open: Weak<Pipeline>,
    /// True if that one serves all new sizes.
    pub is_shared: bool,
}

impl Forms {
    /// The one with these sizes inlined.
    pub fn of(&self, sizes: &sizes::Named) -> Option<Arc<Pipeline>> {
        self.of_sizes.iter().find(|form| form.0 == *sizes).and_then(|form| form.1.upgrade())
    }

    pub fn insert(&mut self, sizes: sizes::Named, pipeline: &Arc<Pipeline>) {
        self.of_sizes.retain(|form| form.0 != sizes);
        self.of_sizes.push((sizes, Arc::downgrade(pipeline)));
    }

    /// Drops those that are not worth keeping; true if any is left.
    pub fn retain(&mut self, keeps: impl Fn(&Pipeline) -> bool) -> bool {
        let keeps = |pipeline: &Weak<Pipeline>| pipeline.upgrade().is_some_and(|pipeline| keeps(&pipeline));
        self.of_sizes.retain(|form| keeps(&form.1));
        if !keeps(&self.open) {
            self.open = Weak::new();
        }
        !self.of_sizes.is_empty() || self.open.strong_count() > 0
    }

    /// True if so many sizes wait to be compiled that one pipeline for all of them is compiled sooner.
    pub fn wait_for_many(&self) -> bool {
        self.of_sizes.iter().filter(|form| waits(&form.1)).count() > MOST_SIZES
    }

    /// Makes one pipeline serve all sizes that are not compiled yet; returns the pipelines that it replaces.
    pub fn share(&mut self) -> Vec<*const Pipeline> {
        self.is_shared = true;
        let waiting = self.of_sizes.iter().filter(|form| waits(&form.1)).map(|form| form.1.as_ptr()).collect();
        self.of_sizes.retain(|form| !waits(&form.1));
        waiting
    }
}

fn waits(pipeline: &Weak<Pipeline>) -> bool {
    pipeline.upgrade().is_some_and(|pipeline| pipeline.raw.get().is_none())
}
