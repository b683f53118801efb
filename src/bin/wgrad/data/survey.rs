//! Counts and findings about a data set.

use super::duplicates::{self, Group};
use super::look::{Facts, Looked, look};
use crate::collection::{Collection, Layout};
use crate::context::Context;
use crate::failure::Outcome;
use crate::table::Table;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use wgrad::data::Dataset;

/// The most lines of a list on the terminal; JSON has all.
const SHOWN: usize = 10;

#[derive(Serialize)]
pub struct Survey {
    layout: Layout,
    pictures: usize,
    parts: Vec<PartCount>,
    classes: Vec<ClassCount>,
    sizes: Option<Sizes>,
    /// Numbers of pictures by the channels of their files.
    channels: BTreeMap<usize, usize>,
    /// Pictures with transparency, which is lost when they are read as RGB.
    transparent: usize,
    unreadable: Vec<Unreadable>,
    duplicates: Vec<Group>,
}

#[derive(Serialize)]
struct PartCount {
    name: &'static str,
    pictures: usize,
}

#[derive(Serialize)]
struct ClassCount {
    name: String,
    /// Numbers of pictures, in the order of the parts.
    pictures: Vec<usize>,
}

/// Height and width.
#[derive(Serialize)]
struct Sizes {
    smallest: [usize; 2],
    median: [usize; 2],
    largest: [usize; 2],
    different: usize,
}

#[derive(Serialize)]
struct Unreadable {
    file: String,
    reason: String,
}

impl Survey {
    pub fn of(collection: &Collection, context: &Context) -> Outcome<Survey> {
        let looked = look(collection, context)?;
        let facts: Vec<&Facts> = looked.iter().filter_map(|picture| picture.facts.as_ref().ok()).collect();
        let mut channels = BTreeMap::new();
        facts.iter().for_each(|facts| *channels.entry(facts.channels).or_default() += 1);
        let parts = collection.parts();
        let counts: Vec<Vec<usize>> = parts.iter().map(|(_, part)| part.counts(collection.classes.len())).collect();
        let of_class = |(at, name): (usize, &String)| ClassCount {
            name: name.clone(),
            pictures: counts.iter().map(|counts| counts[at]).collect(),
        };
        Ok(Survey {
            layout: collection.layout,
            pictures: looked.len(),
            parts: parts.iter().map(|&(name, part)| PartCount { name, pictures: part.len() }).collect(),
            classes: collection.classes.iter().enumerate().map(of_class).collect(),
            sizes: Sizes::of(facts.iter().map(|facts| facts.size).collect()),
            channels,
            transparent: facts.iter().filter(|facts| facts.has_alpha).count(),
            unreadable: looked.iter().filter_map(unreadable).collect(),
            duplicates: duplicates::find(&looked),
        })
    }
}

fn unreadable(picture: &Looked) -> Option<Unreadable> {
    let error = picture.facts.as_ref().err()?;
    Some(Unreadable { file: picture.name.clone(), reason: error.to_string() })
}

impl Sizes {
    fn of(mut sizes: Vec<[usize; 2]>) -> Option<Sizes> {
        sizes.sort_by_key(|[height, width]| height * width);
        let (smallest, median, largest) = (*sizes.first()?, sizes[sizes.len() / 2], *sizes.last()?);
        sizes.sort_unstable();
        sizes.dedup();
        Some(Sizes { smallest, median, largest, different: sizes.len() })
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} pictures of {} classes\n", self.layout.name(), self.pictures, self.classes.len())?;
        writeln!(f, "{}\n", self.class_table())?;
        if let Some(Sizes { smallest, median, largest, different }) = &self.sizes {
            let text = |[height, width]: &[usize; 2]| format!("{height} x {width}");
            match different {
                1 => writeln!(f, "height x width: {} all", text(median))?,
                _ => writeln!(
                    f,
                    "height x width: from {} to {}, median {}, {different} different",
                    text(smallest),
                    text(largest),
                    text(median)
                )?,
            }
        }
        let channels = self.channels.iter().map(|(channels, count)| format!("{count} with {channels}"));
        writeln!(f, "channels: {}", channels.collect::<Vec<_>>().join(", "))?;
        if self.transparent > 0 {
            writeln!(f, "{} are transparent, which is left out unless --channels rgba", self.transparent)?;
        }
        self.lists(f)
    }
}

impl Survey {
    fn class_table(&self) -> Table {
        let titles = [&["class"], &self.parts.iter().map(|part| part.name).collect::<Vec<_>>()[..]].concat();
        let mut table = Table::new(&titles);
        for class in &self.classes {
            table.row([class.name.clone()].into_iter().chain(class.pictures.iter().map(usize::to_string)));
        }
        table.row(["all".to_string()].into_iter().chain(self.parts.iter().map(|part| part.pictures.to_string())));
        table
    }

    /// Unreadable files, and duplicates.
    fn lists(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons = self.unreadable.iter().map(|file| file.reason.clone());
        listed(f, "can't be read", reasons.collect())?;
        let groups = |identical: bool| {
            let groups = self.duplicates.iter().filter(move |group| group.identical == identical);
            groups.map(move |group| described(group, if identical { " = " } else { " ~ " })).collect()
        };
        listed(f, "groups of identical pictures", groups(true))?;
        listed(f, "groups of nearly identical pictures", groups(false))?;
        let is_flagged = |flag: fn(&Group) -> bool| self.duplicates.iter().any(flag);
        if self.parts.len() == 1 && is_flagged(|group| group.identical) {
            write!(
                f,
                "\nA split may put a picture on both sides, which makes the validation too good; keep one of each."
            )?;
        }
        if is_flagged(|group| group.across_parts) {
            write!(f, "\nPictures that are in two parts make the validation too good; keep each in one.")?;
        }
        if is_flagged(|group| group.across_classes) {
            write!(f, "\nPictures that are in two classes teach the network a wrong one; keep each in one.")?;
        }
        Ok(())
    }
}

fn described(group: &Group, sign: &str) -> String {
    let mut text = group.pictures.join(sign);
    for (flag, words) in [(group.across_parts, "in two parts"), (group.across_classes, "in two classes")] {
        text += &if flag { format!(" ({words})") } else { String::new() };
    }
    text
}

fn listed(f: &mut fmt::Formatter<'_>, title: &str, lines: Vec<String>) -> fmt::Result {
    write!(f, "\n{title}: {}", if lines.is_empty() { "none".to_string() } else { lines.len().to_string() })?;
    lines.iter().take(SHOWN).try_for_each(|line| write!(f, "\n  {line}"))?;
    match lines.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(f, "\n  and {more} more (--json lists all)"),
    }
}
