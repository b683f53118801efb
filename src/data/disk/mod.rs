//! Images that stay in their files until they are asked for: folders, tables and annotations of boxes.

mod coco;
mod decode;
mod files;
mod folder;
mod masks;
mod names;
mod table;
mod voc;
mod yolo;

pub use coco::coco;
pub use decode::{ColorMode, ImageHeader};
pub use files::ImageFiles;
pub use folder::{image_folder, images_below};
pub use masks::MaskFolder;
pub use table::{TableColumns, image_table, multi_label_image_table};
pub use voc::voc;
pub use yolo::{YoloFolder, yolo};
