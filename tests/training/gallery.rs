//! The gallery: its page follows from its template and numbers, and some sections draw in a few steps.
#![allow(clippy::duplicate_mod, reason = "the gallery brings what examples share")]

#[path = "../../examples/gallery/main.rs"]
#[allow(dead_code, reason = "its main function")]
mod program;

use program::{Flags, LARGEST, LARGEST_SUM, SECTIONS, page::Page};
use std::fs;
use std::path::Path;

/// A changed template needs a new page: `make gallery ARGS=--page` writes it.
#[test]
fn the_page_is_its_templates() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = Page::open(&docs).unwrap();
    assert_eq!(fs::read_to_string(docs.join("GALLERY.md")).unwrap(), page.text().unwrap());
    let drawn = SECTIONS.iter().filter_map(|(name, _)| fs::metadata(page.picture(name)).ok());
    let sizes: Vec<u64> = drawn.map(|picture| picture.len()).collect();
    assert!(sizes.iter().all(|&size| size <= LARGEST) && sizes.iter().sum::<u64>() <= LARGEST_SUM, "{sizes:?}");
}

#[test]
fn sections_draw_in_a_few_steps() {
    let folder = tempfile::tempdir().unwrap();
    program::run(
        &Flags::short(2),
        |name| ["filters", "features", "surface", "clustering"].contains(&name),
        folder.path(),
    )
    .unwrap();
    let page = fs::read_to_string(folder.path().join("GALLERY.md")).unwrap();
    assert!(page.contains("](gallery/surface.png)") && page.contains("3 x 3 losses"), "{page}");
    assert!(page.contains("](gallery/clustering.png)") && !page.contains("{{"), "{page}");
    // Sections that were not drawn are left out.
    assert!(!page.contains("](gallery/gan.png)"));
}
