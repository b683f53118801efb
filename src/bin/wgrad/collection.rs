//! The pictures of DATA, recognised by its layout on disk.

use crate::failure::{Failure, Outcome};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wgrad::Result;
use wgrad::data::{
    Cifar10, Cifar100, Cifar100Labels, ColorMode, Dataset, Emnist, EmnistSplit, FashionMnist, ImageFiles, ImageHeader,
    Images, Mnist, Sample, Stl10, image_folder,
};

#[derive(Args)]
pub struct Source {
    /// A folder of class folders, or of train/ and val/ (and test/) with class folders each, or a known data set: mnist,
    /// fashion-mnist, emnist-balanced (or another split), cifar10, cifar100, cifar100-coarse, stl10
    pub data: String,
    /// Folder of a known data set's files [default: data/NAME]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Channels to read pictures as [default: grey if all are, else rgb]
    #[arg(long, value_enum)]
    pub channels: Option<Channels>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    Grey,
    Rgb,
    /// With transparency
    Rgba,
}

impl Channels {
    /// The mode with this many channels.
    pub fn of(count: usize) -> Option<Channels> {
        match count {
            1 => Some(Channels::Grey),
            3 => Some(Channels::Rgb),
            4 => Some(Channels::Rgba),
            _ => None,
        }
    }

    pub fn mode(self) -> ColorMode {
        match self {
            Channels::Grey => ColorMode::Grey,
            Channels::Rgb => ColorMode::Rgb,
            Channels::Rgba => ColorMode::Rgba,
        }
    }
}

/// Labelled pictures in up to three parts.
pub struct Collection {
    pub layout: Layout,
    pub classes: Vec<String>,
    pub train: Part,
    pub val: Option<Part>,
    pub test: Option<Part>,
}

/// The layout of DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    ClassFolders,
    Parts,
    Known,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Layout::ClassFolders => "class folders",
            Layout::Parts => "class folders in train/ and others",
            Layout::Known => "a known data set",
        }
    }
}

/// Labelled pictures, from any source.
#[derive(Clone)]
pub struct Part {
    set: Arc<dyn Dataset<Item = Sample<i32>> + Send + Sync>,
    labels: Arc<[i32]>,
    paths: Option<Arc<[PathBuf]>>,
}

impl Part {
    pub fn labels(&self) -> &[i32] {
        &self.labels
    }

    /// The file of a picture, if it has one of its own.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.paths.as_ref().map(|paths| paths[index].as_path())
    }

    /// The number of pictures of each of `classes` classes.
    pub fn counts(&self, classes: usize) -> Vec<usize> {
        let count = |class: usize| self.labels.iter().filter(|&&label| usize::try_from(label) == Ok(class)).count();
        (0..classes).map(count).collect()
    }

    fn of_images(images: Images) -> Part {
        Part { labels: images.labels().into(), paths: None, set: Arc::new(images) }
    }

    /// Files with the numbers of those of `classes` that have the same names.
    fn of_files(files: ImageFiles<i32>, classes: &[String], folder: &Path) -> Outcome<Part> {
        let number = |name: &String| {
            let at = classes.iter().position(|class| class == name);
            at.and_then(|at| i32::try_from(at).ok()).ok_or_else(|| {
                let message = format!("{}: the class {name:?} is none of the training classes", folder.display());
                Failure::new(message).hint(format!("those are {}", classes.join(", ")))
            })
        };
        let numbers = files.classes().iter().map(number).collect::<Outcome<Vec<i32>>>()?;
        let renumbered = move |target: i32| usize::try_from(target).map_or(-1, |target| numbers[target]);
        let labels = files.targets().iter().map(|&target| renumbered(target)).collect();
        let paths = Some(files.paths().into());
        let set = files.map(move |sample: Sample<i32>| Ok(Sample { target: renumbered(sample.target), ..sample }));
        Ok(Part { set: Arc::new(set), labels, paths })
    }
}

impl Dataset for Part {
    type Item = Sample<i32>;

    fn len(&self) -> usize {
        self.labels.len()
    }

    fn get(&self, index: usize) -> Result<Sample<i32>> {
        self.set.get(index)
    }
}

const TRAIN: [&str; 2] = ["train", "training"];
const VAL: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];

impl Collection {
    /// Detects the layout of DATA and lists its pictures; reads pictures of known data sets, and only headers of others. An
    /// existing network may require its own channels.
    pub fn open(source: &Source, wanted: Option<Channels>) -> Outcome<Collection> {
        let folder = Path::new(&source.data);
        if folder.is_dir() && source.data_dir.is_none() {
            return Collection::of_folder(folder, source.channels.or(wanted));
        }
        match known(source)? {
            Some(collection) => Ok(collection),
            None => Err(not_there(folder)),
        }
    }

    fn of_folder(folder: &Path, channels: Option<Channels>) -> Outcome<Collection> {
        let named = |names: &[&str]| names.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
        let train = named(&TRAIN);
        let layout = if train.is_some() { Layout::Parts } else { Layout::ClassFolders };
        let train = train.unwrap_or_else(|| folder.to_path_buf());
        let listed = list(&train, ColorMode::Rgb)?;
        let mode = channels.map(Channels::mode).unwrap_or_else(|| mode(listed.paths()));
        let files = if mode == ColorMode::Rgb { listed } else { list(&train, mode)? };
        let classes = files.classes().to_vec();
        let part = |path: Option<PathBuf>| match path.filter(|_| layout == Layout::Parts) {
            Some(path) => Part::of_files(list(&path, mode)?, &classes, &path).map(Some),
            None => Ok(None),
        };
        let (val, test) = (part(named(&VAL))?, part(named(&TEST))?);
        Ok(Collection { layout, train: Part::of_files(files, &classes, &train)?, val, test, classes })
    }

    /// The parts by their names.
    pub fn parts(&self) -> Vec<(&'static str, &Part)> {
        let parts = [("train", Some(&self.train)), ("val", self.val.as_ref()), ("test", self.test.as_ref())];
        parts.into_iter().filter_map(|(name, part)| Some((name, part?))).collect()
    }
}

fn list(folder: &Path, mode: ColorMode) -> Outcome<ImageFiles<i32>> {
    image_folder(folder, mode).map_err(|error| {
        Failure::from(error).hint("the pictures of each class go into a folder named after it: DATA/cat/1.jpg")
    })
}

/// Grey where some files from all over the set are grey, so that a network of one channel is enough.
fn mode(paths: &[PathBuf]) -> ColorMode {
    const LOOKED_AT: usize = 256;
    let mut some = paths.iter().step_by(paths.len().div_ceil(LOOKED_AT).max(1));
    // A file without a readable header decides nothing here; reading pictures meets it again.
    let is_grey = |path: &PathBuf| ImageHeader::read(path).map_or(true, |header| header.channels == 1);
    if some.all(is_grey) { ColorMode::Grey } else { ColorMode::Rgb }
}

fn not_there(path: &Path) -> Failure {
    let message = format!("{}: there is no such folder, and no known data set of this name", path.display());
    Failure::new(message).hint(format!("known are {}", KNOWN.map(|(name, _)| name).join(", ")))
}

/// Reads the training and test pictures of a known data set from its folder.
type Reader = fn(&Path) -> Result<(Images, Images)>;

const KNOWN: [(&str, Reader); 12] = [
    ("mnist", |folder| Mnist::open(folder).map(|set| (set.train, set.test))),
    ("fashion-mnist", |folder| FashionMnist::open(folder).map(|set| (set.train, set.test))),
    ("emnist-balanced", |folder| emnist(folder, EmnistSplit::Balanced)),
    ("emnist-byclass", |folder| emnist(folder, EmnistSplit::ByClass)),
    ("emnist-bymerge", |folder| emnist(folder, EmnistSplit::ByMerge)),
    ("emnist-letters", |folder| emnist(folder, EmnistSplit::Letters)),
    ("emnist-digits", |folder| emnist(folder, EmnistSplit::Digits)),
    ("emnist-mnist", |folder| emnist(folder, EmnistSplit::Mnist)),
    ("cifar10", |folder| Cifar10::open(folder).map(|set| (set.train, set.test))),
    ("cifar100", |folder| cifar100(folder, Cifar100Labels::Fine)),
    ("cifar100-coarse", |folder| cifar100(folder, Cifar100Labels::Coarse)),
    ("stl10", |folder| Stl10::open(folder).map(|set| (set.train, set.test))),
];

fn emnist(folder: &Path, split: EmnistSplit) -> Result<(Images, Images)> {
    Emnist::open(folder, split).map(|set| (set.train, set.test))
}

fn cifar100(folder: &Path, labels: Cifar100Labels) -> Result<(Images, Images)> {
    Cifar100::open(folder, labels).map(|set| (set.train, set.test))
}

/// A data set that is known by its name.
fn known(source: &Source) -> Outcome<Option<Collection>> {
    let Some((name, read)) = KNOWN.into_iter().find(|(name, _)| *name == source.data) else { return Ok(None) };
    if source.channels.is_some() {
        return Err(Failure::usage(format!(
            "--channels is for folders of pictures, and {name} has channels of its own"
        )));
    }
    let folder = source.data_dir.clone().unwrap_or_else(|| Path::new("data").join(name));
    let (train, test) = read(&folder).map_err(|error| {
        Failure::from(error).hint("--data-dir names the folder that holds the set's files, as they are distributed")
    })?;
    let classes = train.classes().to_vec();
    let (train, test) = (Part::of_images(train), Part::of_images(test));
    Ok(Some(Collection { layout: Layout::Known, classes, train, val: None, test: Some(test) }))
}
