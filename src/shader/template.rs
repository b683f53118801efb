//! The facts of a template, read once from its parsed module, and the parts of its text that can be set.

use crate::shader::words::tokens;
use naga::front::wgsl;
use naga::{Block, Function, Module, Scalar, ScalarKind, Statement, TypeInner, VectorSize};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

/// Enables 16-bit floats in a module.
pub(super) const ENABLED: &str = "enable f16;\n";

/// A kernel's text before anything is set, and its declarations.
pub(crate) struct Template {
    /// A valid module.
    pub text: &'static str,
    module: OnceLock<Module>,
    declarations: OnceLock<HashMap<&'static str, Declaration>>,
}

/// A declaration of a module.
pub(super) struct Declaration {
    /// `const`, `alias`, `fn` or `struct`.
    pub keyword: &'static str,
    /// The first byte of the keyword.
    pub start: usize,
    /// The text after the `=` of a constant or an alias, or within the braces of a function or a structure.
    pub value: Range<usize>,
}

/// The type of a value that a hook takes or returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HookType {
    U32,
    F32,
    /// Four floats.
    Quad,
    Other,
}

impl HookType {
    fn of(inner: &TypeInner) -> HookType {
        match *inner {
            TypeInner::Scalar(Scalar::U32) => HookType::U32,
            TypeInner::Scalar(Scalar::F32) => HookType::F32,
            TypeInner::Vector { size: VectorSize::Quad, scalar } if scalar.kind == ScalarKind::Float => HookType::Quad,
            _ => HookType::Other,
        }
    }

    fn spelled(text: &str) -> HookType {
        match text {
            "u32" => HookType::U32,
            "f32" => HookType::F32,
            "vec4<f32>" | "vec4<f16>" => HookType::Quad,
            _ => HookType::Other,
        }
    }
}

impl Template {
    /// The template with this text. Each is parsed once in the life of the process.
    pub fn of(text: &'static str) -> &'static Template {
        static ALL: Mutex<Option<HashMap<(usize, usize), &'static Template>>> = Mutex::new(None);
        let mut all = ALL.lock();
        all.get_or_insert_default().entry((text.as_ptr().addr(), text.len())).or_insert_with(|| {
            Box::leak(Box::new(Template { text, module: OnceLock::new(), declarations: OnceLock::new() }))
        })
    }

    /// The parsed module; an empty one if the text is invalid, which its compilation reports.
    fn module(&self) -> &Module {
        self.module.get_or_init(|| wgsl::parse_str(&format!("{ENABLED}{}", self.text)).unwrap_or_default())
    }

    /// The declarations by name.
    pub(super) fn declarations(&self) -> &HashMap<&'static str, Declaration> {
        self.declarations.get_or_init(|| declarations(self.text))
    }

    fn function(&self, name: &str) -> Option<&Function> {
        let mut functions = self.module().functions.iter().map(|(_, function)| function);
        functions.find(|function| function.name.as_deref() == Some(name))
    }

    /// The types of a hook's arguments and of its result with `aliases` set.
    pub(super) fn signature(&self, hook: &str, aliases: &[(&str, &str)]) -> Option<(Vec<HookType>, Option<HookType>)> {
        let function = self.function(hook)?;
        let of = |ty| {
            let ty: &naga::Type = &self.module().types[ty];
            let alias = aliases.iter().find(|alias| Some(alias.0) == ty.name.as_deref());
            alias.map_or_else(|| HookType::of(&ty.inner), |alias| HookType::spelled(alias.1))
        };
        let arguments = function.arguments.iter().map(|argument| of(argument.ty)).collect();
        Some((arguments, function.result.as_ref().map(|result| of(result.ty))))
    }

    /// True if the function `caller` calls `callee`.
    pub fn calls(&self, caller: &str, callee: &str) -> bool {
        self.function(caller).is_some_and(|function| self.block_calls(&function.body, callee))
    }

    fn block_calls(&self, block: &Block, callee: &str) -> bool {
        block.iter().any(|statement| match statement {
            Statement::Call { function, .. } => self.module().functions[*function].name.as_deref() == Some(callee),
            Statement::Block(block) => self.block_calls(block, callee),
            Statement::If { accept, reject, .. } => {
                self.block_calls(accept, callee) || self.block_calls(reject, callee)
            }
            Statement::Loop { body, continuing, .. } => {
                self.block_calls(body, callee) || self.block_calls(continuing, callee)
            }
            Statement::Switch { cases, .. } => cases.iter().any(|case| self.block_calls(&case.body, callee)),
            _ => false,
        })
    }

    /// True if the template has a binding of this name.
    pub fn binds(&self, name: &str) -> bool {
        self.module().global_variables.iter().any(|(_, variable)| variable.name.as_deref() == Some(name))
    }

    /// The first binding number after the template's.
    pub fn free_binding(&self) -> usize {
        let numbers = self.module().global_variables.iter().filter_map(|(_, variable)| variable.binding);
        numbers.map(|binding| binding.binding as usize + 1).max().unwrap_or(0)
    }

    /// The number of words in `Params`; `None` if it has other members than single ones, or if there is none.
    pub fn params(&self) -> Option<usize> {
        let mut types = self.module().types.iter().map(|(_, ty)| ty);
        let TypeInner::Struct { members, .. } = &types.find(|ty| ty.name.as_deref() == Some("Params"))?.inner else {
            return None;
        };
        let is_word = |member: &naga::StructMember| match self.module().types[member.ty].inner {
            TypeInner::Scalar(scalar) => scalar.width == 4,
            _ => false,
        };
        members.iter().all(is_word).then_some(members.len())
    }

    /// True if the template declares an alias of this name.
    pub fn has_alias(&self, name: &str) -> bool {
        self.declarations().get(name).is_some_and(|declaration| declaration.keyword == "alias")
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Reads the declarations of a text.
fn declarations(text: &str) -> HashMap<&str, Declaration> {
    let mut declarations = HashMap::new();
    let (mut at, mut depth) = (0, 0);
    // The declaration that is being read, with its name and the start of its value.
    let mut open: Option<(&'static str, usize)> = None;
    let (mut name, mut start) = (None, None);
    for token in tokens(text) {
        let end = at + token.len();
        let is_block = open.is_some_and(|(keyword, _)| matches!(keyword, "fn" | "struct"));
        match token {
            "{" => {
                if depth == 0 {
                    start = Some(end);
                }
                depth += 1;
            }
            "}" => depth -= 1,
            "=" if !is_block && depth == 0 => start = start.or(Some(end)),
            "const" | "alias" | "fn" | "struct" if open.is_none() && depth == 0 => {
                let keyword = ["const", "alias", "fn", "struct"].into_iter().find(|keyword| *keyword == token);
                open = keyword.map(|keyword| (keyword, at));
            }
            _ if open.is_some() && name.is_none() && !token.trim().is_empty() => name = Some(token),
            _ => {}
        }
        if depth == 0 && token == if is_block { "}" } else { ";" } {
            if let (Some((keyword, first)), Some(name), Some(start)) = (open, name, start) {
                declarations.insert(name, Declaration { keyword, start: first, value: start..at });
            }
            (open, name, start) = (None, None, None);
        }
        at = end;
    }
    declarations
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "// fn store_output(index: u32, value: f32) { output[index] = fault[0]; }
alias Value = i32;
const SIZE: u32 = 4u; // const OTHER: u32 = 5u;

struct Params {
    // Elements: u32, and others.
    count: u32, start: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> output: array<Value>;

fn load(first: u32, second: u32, third: u32, fourth: u32) -> vec4<f32> { if (first > SIZE) { return vec4(0.0); } return vec4(1.0); }
fn store_output(index: u32, value: Value) { output[index] = value; }
fn store_two(index: u32) { for (var i = 0u; i < params.count; i++) { store_output(index + i, 1); } }
@compute @workgroup_size(1)
fn main() { store_two(u32(load(0u, 0u, 0u, 0u).x)); }
";

    #[test]
    fn facts_are_those_of_the_module() {
        let template = Template::of(TEXT);
        assert!(std::ptr::eq(template, Template::of(TEXT)));
        let takes = |aliases: &[(&str, &str)]| template.signature("store_output", aliases).unwrap().0[1];
        assert_eq!((takes(&[]), takes(&[("Value", "f32")])), (HookType::Other, HookType::F32));
        assert_eq!(template.signature("load", &[]), Some((vec![HookType::U32; 4], Some(HookType::Quad))));
        assert!(template.calls("store_two", "store_output") && !template.calls("main", "store_output"));
        assert!(template.binds("output") && !template.binds("fault"));
        assert_eq!((template.free_binding(), template.params()), (4, Some(2)));
        assert!(template.has_alias("Value") && !template.has_alias("SIZE") && !template.has_alias("OTHER"));
    }

    #[test]
    fn declarations_are_found_where_they_stand() {
        let declarations = declarations(TEXT);
        let value = |name: &str| &TEXT[declarations[name].value.clone()];
        assert_eq!((value("SIZE"), value("Value")), (" 4u", " i32"));
        assert_eq!(value("store_output"), " output[index] = value; ");
        assert!(value("load").ends_with("return vec4(1.0); ") && value("Params").contains("start: f32"));
        assert_eq!(&TEXT[declarations["main"].start..][..7], "fn main");
    }
}
