//! Text in, text out: every template is valid WGSL, and so is every specialised module.

use crate::error::{Error, Result};
use crate::shader::scalar::scalarise;
use crate::shader::sizes::{self, Sizes};
use crate::shader::unroll::unroll;
use crate::shader::{Kernel, Word};

/// The body of the hook `report` of kernels with a [`Word::Fault`], whose `fault` is the device's words. The words are of one
/// call: the first that finds a bad index claims them, by its operation's code and one more than the size that the index is
/// past, and leaves its largest index.
/// Calls follow one another, so the same program gives the same words.
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

/// The module of all kernels that differ in nothing but sizes, and how its parameters follow from those.
pub(crate) fn specialise_open(kernel: &Kernel) -> Result<(String, Sizes)> {
    let text = filled(kernel, |text| sizes::open(text).into_owned())?;
    let names: Vec<&str> = kernel.sizes.iter().map(|size| size.0).collect();
    let (text, sizes) = sizes::taken_from_params(&text, &names).map_err(|reason| fault(kernel, reason))?;
    Ok((finished(kernel, &text)?, sizes))
}

fn fault(kernel: &Kernel, reason: String) -> Error {
    Error::Shader { shader: kernel.name.to_string(), reason }
}

/// The template with everything set, `hook` telling how sizes in hooks are written.
fn filled(kernel: &Kernel, hook: impl Fn(&str) -> String) -> Result<String> {
    let fault = |reason: String| fault(kernel, reason);
    let mut text = kernel.template.to_string();
    let sizes = kernel.sizes.iter().map(|&(name, value)| (name, format!("{value}u")));
    for (name, value) in kernel.constants.iter().cloned().chain(sizes) {
        text = set_declaration(&text, "const", name, &value)
            .ok_or_else(|| fault(format!("the template declares no const {name}")))?;
    }
    for (name, to) in &kernel.aliases {
        text = set_declaration(&text, "alias", name, to)
            .ok_or_else(|| fault(format!("the template declares no alias {name}")))?;
    }
    for (name, body) in &kernel.hooks {
        text = set_hook(&text, name, &hook(body)).ok_or_else(|| fault(format!("the template has no hook {name}")))?;
    }
    if kernel.params.iter().any(|word| matches!(word, Word::Fault(_))) {
        text = set_hook(&text, "report", REPORT).ok_or_else(|| fault("the template has no hook report".into()))?;
    }
    if kernel.extra_words > 0 {
        let start = text.find("\nstruct Params {").ok_or_else(|| fault("the template has no Params".into()))?;
        let end = text[start..].find('}').ok_or_else(|| fault("Params has no end".into()))?;
        text.insert_str(start + end, &format!("    words: array<vec4<u32>, {}>,\n", kernel.extra_words));
    }
    if !kernel.declarations.is_empty() {
        let at = text.find("\nfn ").ok_or_else(|| fault("the template has no function".into()))?;
        text.insert_str(at + 1, &format!("{}\n", hook(&kernel.declarations)));
    }
    Ok(text)
}

/// The text with loops written out and arrays taken apart.
fn finished(kernel: &Kernel, text: &str) -> Result<String> {
    let mut text = scalarise(&unroll(text).map_err(|reason| fault(kernel, reason))?);
    if text.lines().any(|line| line.split("//").next().unwrap_or("").contains("f16")) {
        text.insert_str(0, "enable f16;\n");
    }
    Ok(text)
}

/// Replaces what stands after `=` in `const NAME: type = value;` or `alias NAME = type;`, at the start of a line.
fn set_declaration(text: &str, keyword: &str, name: &str, value: &str) -> Option<String> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix(keyword).and_then(|r| r.strip_prefix(' ')) {
            let declared = rest.split([':', '=', ' ']).next().unwrap_or("");
            if declared == name {
                let equals = start + line.find('=')?;
                let end = equals + text[equals..].find(';')?;
                return Some(format!("{}= {value}{}", &text[..equals], &text[end..]));
            }
        }
        start += line.len();
    }
    None
}

/// Replaces the body of `fn name(..) -> type { body }`; a hook starts a line and its body has balanced braces.
fn set_hook(text: &str, name: &str, body: &str) -> Option<String> {
    let start = text.find(&format!("\nfn {name}("))?;
    let open = start + text[start..].find('{')?;
    let mut depth = 0usize;
    for (i, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(format!("{}{{ {body} {}", &text[..open], &text[open + i..]));
                }
            }
            _ => {}
        }
    }
    None
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
