//! Compiles the kernels with other systems' shader compilers, on a machine without their adapters: `make portability`.
//!
//! ```text
//! portability modules FOLDER [KIND ..]    writes what each kind of adapter needs to FOLDER/KIND
//! portability pipelines FOLDER RESULTS    has this machine's Vulkan driver compile the modules in a folder
//! portability table RESULTS FOLDER        prints a table of all results, and fails where a module failed
//! ```
//!
//! A module is `NAME-HASH.wgsl`. Its HLSL is next to it, if DirectX has adapters of that kind, and `list.tsv` holds the arguments
//! of an HLSL compiler. Results are files `COMPILER@KIND.tsv`, a line for each module (`results.rs`).

mod kinds;
mod modules;
mod pipelines;
mod results;
mod table;
mod translate;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["modules", folder, ref chosen @ ..] => {
            let is_chosen = |kind: &&kinds::Kind| chosen.is_empty() || chosen.contains(&kind.name);
            for kind in kinds::KINDS.iter().filter(is_chosen) {
                modules::write(kind, &Path::new(folder).join(kind.name))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        ["pipelines", folder, results] => pipelines::compile(Path::new(folder), Path::new(results)),
        ["table", results, folder] => table::print(Path::new(results), Path::new(folder)),
        _ => Err("portability modules FOLDER [KIND ..], or pipelines FOLDER RESULTS, or table RESULTS FOLDER".into()),
    }
}
