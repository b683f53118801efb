//! Specialises templates: every template is valid WGSL, and so is every specialised module.

use crate::error::{Error, Result};
use crate::shader::scalar::scalarise;
use crate::shader::sizes::{self, Sizes};
use crate::shader::template::ENABLED;
use crate::shader::unroll::unroll;
use crate::shader::{Kernel, Word};
use std::collections::BTreeMap;
use std::ops::Range;

/// The body of the hook `report` of kernels with a [`Word::Fault`], whose `fault` is the device's words. The words belong to one
/// call: the first that finds a bad index claims them, by its operation's code and one more than the size that the index exceeds,
/// and leaves its largest index. Calls follow one another, so the same program gives the same words.
const REPORT: &str = "
    loop {
        let claim = atomicCompareExchangeWeak(&fault[0], 0u, code);
        if (claim.exchanged || claim.old_value == code) { break; }
        if (claim.old_value != 0u) { return; }
    }
    loop {
        let claim = atomicCompareExchangeWeak(&fault[1], 0u, size + 1u);
        if (claim.exchanged || claim.old_value == size + 1u) { break; }
        if (claim.old_value != 0u) { return; }
    }
    atomicMax(&fault[2], bitcast<u32>(index));
";

/// The module of one kernel: its template with constants, sizes, aliases, hook bodies and declarations set.
pub(crate) fn specialise(kernel: &Kernel) -> Result<String> {
    let text = filled(kernel, |text| sizes::written(text).into_owned())?;
    finished(kernel, &text)
}

/// The module of all kernels that differ in sizes only, and the rule that computes its parameters from those.
pub(crate) fn specialise_open(kernel: &Kernel) -> Result<(String, Sizes)> {
    let text = filled(kernel, |text| sizes::open(text).into_owned())?;
    let names: Vec<&str> = kernel.sizes.iter().map(|size| size.0).collect();
    let (text, sizes) = sizes::taken_from_params(&text, &names).map_err(|reason| fault(kernel, reason))?;
    Ok((finished(kernel, &text)?, sizes))
}

fn fault(kernel: &Kernel, reason: String) -> Error {
    Error::Shader { shader: kernel.name.to_string(), reason }
}

/// The template with everything set; `hook` writes the sizes in hooks.
fn filled(kernel: &Kernel, hook: impl Fn(&str) -> String) -> Result<String> {
    let Kernel { template, .. } = *kernel;
    let value = |keyword: &str, name: &str| {
        let declaration = template.declarations().get(name).filter(|declaration| declaration.keyword == keyword);
        let range = declaration.map(|declaration| declaration.value.clone());
        range.ok_or_else(|| fault(kernel, format!("the template declares no {keyword} {name}")))
    };
    // By the positions of the replaced texts; the later of two at one position counts.
    let mut edits: BTreeMap<usize, (Range<usize>, String)> = BTreeMap::new();
    let mut edit = |range: Range<usize>, text: String| edits.insert(range.start, (range, text));
    let sizes = kernel.sizes.iter().map(|&(name, value)| (name, format!("{value}u")));
    for (name, to) in kernel.constants.iter().cloned().chain(sizes) {
        edit(value("const", name)?, format!(" {to}"));
    }
    for (name, to) in &kernel.aliases {
        edit(value("alias", name)?, format!(" {to}"));
    }
    for (name, body) in &kernel.hooks {
        edit(value("fn", name)?, format!(" {} ", hook(body)));
    }
    if kernel.params.iter().any(|word| matches!(word, Word::Fault(_))) {
        edit(value("fn", "report")?, format!(" {REPORT} "));
    }
    if kernel.extra_words > 0 {
        let end = value("struct", "Params")?.end;
        edit(end..end, format!("    words: array<vec4<u32>, {}>,\n", kernel.extra_words));
    }
    if !kernel.declarations.is_empty() {
        let functions = template.declarations().values().filter(|declaration| declaration.keyword == "fn");
        let first = functions.map(|function| function.start).min();
        let first = first.ok_or_else(|| fault(kernel, "the template has no function".into()))?;
        edit(first..first, format!("{}\n", hook(&kernel.declarations)));
    }
    let mut text = String::with_capacity(2 * template.text.len());
    let mut done = 0;
    for (range, new) in edits.into_values() {
        text.extend([&template.text[done..range.start], &new]);
        done = range.end;
    }
    text.push_str(&template.text[done..]);
    Ok(text)
}

/// The text with unrolled loops and split arrays.
fn finished(kernel: &Kernel, text: &str) -> Result<String> {
    let text = scalarise(&unroll(text).map_err(|reason| fault(kernel, reason))?);
    Ok(format!("{ENABLED}{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "const TILE: u32 = 8u;\nalias Elem = f32;\n\nfn load(i: u32) -> f32 { if (i > 0u) { return 1.0; } return 0.0; }\nfn main() {}\n";

    #[test]
    fn sets_constants_aliases_and_hooks() {
        let kernel =
            Kernel::new("test", TEMPLATE).constant("TILE", "16u").alias("Elem", "i32").hook("load", "return 2.0;");
        let text = specialise(&kernel).unwrap();
        assert!(text.contains("const TILE: u32 = 16u;"));
        assert!(text.contains("alias Elem = i32;"));
        assert!(text.contains("fn load(i: u32) -> f32 { return 2.0; }\nfn main"));
    }

    #[test]
    fn a_name_the_template_lacks_is_an_error() {
        assert!(specialise(&Kernel::new("test", TEMPLATE).constant("TILES", 1)).is_err());
        assert!(specialise(&Kernel::new("test", TEMPLATE).size("TILES", 1)).is_err());
        assert!(specialise(&Kernel::new("test", TEMPLATE).hook("store", "")).is_err());
        assert!(specialise(&Kernel::new("test", TEMPLATE).alias("Elements", "i32")).is_err());
    }
}
