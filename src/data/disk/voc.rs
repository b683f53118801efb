//! Annotations in Pascal VOC's format: an XML file for each image (Everingham et al., "The Pascal visual object classes
//! challenge", 2010).

use super::table::{classes, number};
use super::{ColorMode, ImageFiles};
use crate::data::{BoundingBox, file};
use crate::error::{Error, Result};
use roxmltree::{Document, Node};
use std::fs;
use std::path::{Path, PathBuf};

/// An image and its objects, as an XML file has them.
struct Annotation {
    image: PathBuf,
    objects: Vec<(String, BoundingBox)>,
}

/// A folder of XML files; the images that they name are in another. Files are in order of their names, and classes are numbered
/// by name. VOC counts pixels from 1, so that a box around a whole image begins at 1; here it begins at 0.
///
/// # Errors
/// [`Error::File`] if a folder can't be read, there are no XML files, or one is not of this format.
///
/// ```no_run
/// use wgrad::data::{ColorMode, voc};
/// let set = voc("VOC2012/Annotations", "VOC2012/JPEGImages", ColorMode::Rgb)?;
/// assert_eq!(set.classes()[0], "aeroplane");
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn voc(
    annotations: impl AsRef<Path>,
    images: impl AsRef<Path>,
    mode: ColorMode,
) -> Result<ImageFiles<Vec<BoundingBox>>> {
    let folder = annotations.as_ref();
    let fault = |error: std::io::Error| Error::file(folder, error);
    let entries = fs::read_dir(folder).map_err(fault)?;
    let mut paths = entries.map(|entry| Ok(entry.map_err(fault)?.path())).collect::<Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml")));
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    if paths.is_empty() {
        return Err(Error::file(folder, "it holds no XML files"));
    }
    let read = |path: &PathBuf| {
        let text = file::read_text(path)?;
        parse(&text, images.as_ref()).map_err(|reason| Error::file(path, reason))
    };
    let annotations: Vec<Annotation> = paths.iter().map(read).collect::<Result<_>>()?;
    let classes = classes(annotations.iter().flat_map(|annotation| &annotation.objects).map(|(name, _)| name.as_str()));
    let numbered = |(name, found): (String, BoundingBox)| BoundingBox { class: number(&classes, &name), ..found };
    let files = annotations
        .into_iter()
        .map(|Annotation { image, objects }| (image, objects.into_iter().map(numbered).collect()));
    Ok(ImageFiles::new(files.collect(), classes.clone(), mode))
}

fn parse(text: &str, images: &Path) -> Result<Annotation, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        return Err(format!("its root is <{}>; expected <annotation>", root.tag_name().name()));
    }
    let image = images.join(text_of(root, "filename")?);
    let objects = root.children().filter(|node| node.has_tag_name("object")).map(object).collect::<Result<_, _>>()?;
    Ok(Annotation { image, objects })
}

/// The name and the box of an `<object>`.
fn object(node: Node) -> Result<(String, BoundingBox), String> {
    let name = text_of(node, "name")?;
    let edges = child(node, "bndbox")?;
    let edge = |tag| {
        let text = text_of(edges, tag)?;
        text.parse::<f32>().map_err(|_| format!("<{tag}> of {name:?} is {text:?}, no number"))
    };
    let corners = [edge("xmin")? - 1.0, edge("ymin")? - 1.0, edge("xmax")?, edge("ymax")?];
    let mut found = BoundingBox::new(-1, corners).map_err(|reason| format!("{name:?}: {reason}"))?;
    found.is_ignored = text_of(node, "difficult").is_ok_and(|text| text == "1");
    Ok((name.to_string(), found))
}

fn child<'a>(node: Node<'a, 'a>, tag: &str) -> Result<Node<'a, 'a>, String> {
    let found = node.children().find(|child| child.has_tag_name(tag));
    found.ok_or_else(|| format!("there is no <{tag}> in <{}>", node.tag_name().name()))
}

fn text_of<'a>(node: Node<'a, 'a>, tag: &str) -> Result<&'a str, String> {
    let text = child(node, tag)?.text().map(str::trim).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("<{tag}> in <{}> is empty", node.tag_name().name()))
}
