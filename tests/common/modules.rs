//! Checks a module: it must validate and translate to SPIR-V, MSL, HLSL and back to WGSL. And the kinds of adapters for which
//! modules are specialised, as which wgpu's noop adapter poses.

use naga::back::{hlsl, msl, spv, wgsl};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{Arena, Expression, Handle, Literal, ScalarKind};
use rayon::prelude::*;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use wgrad::{Device, DeviceOptions, Disable, Noop};

/// The fault of a module, if it has one.
pub fn fault(source: &str) -> Option<String> {
    translate(source).err()
}

/// The 32 bits of a known number, or of each part of a known vector.
fn known(at: Handle<Expression>, expressions: &Arena<Expression>, module: &naga::Module) -> Vec<u32> {
    match &expressions[at] {
        Expression::Literal(Literal::F32(value)) => vec![value.to_bits()],
        Expression::Literal(Literal::U32(value)) => vec![*value],
        Expression::Literal(Literal::I32(value)) => vec![value.cast_unsigned()],
        Expression::Constant(constant) => known(module.constants[*constant].init, &module.global_expressions, module),
        Expression::Compose { components, .. } => {
            components.iter().flat_map(|part| known(*part, expressions, module)).collect()
        }
        Expression::Splat { value, .. } => known(*value, expressions, module),
        Expression::As { expr, convert: None, .. } => known(*expr, expressions, module),
        _ => Vec::new(),
    }
}

/// A constant that is NaN or infinite, which is an error in WGSL and not in naga.
fn constant_of_no_number(module: &naga::Module) -> Option<String> {
    let functions = module.functions.iter().map(|(_, function)| function);
    let functions = functions.chain(module.entry_points.iter().map(|entry| &entry.function));
    let arenas = functions.map(|function| &function.expressions).chain([&module.global_expressions]);
    let mut all = arenas.flat_map(|arena| arena.iter().map(move |(at, expression)| (arena, at, expression)));
    all.find_map(|(arena, at, expression)| {
        let is_float = matches!(
            expression,
            Expression::Literal(Literal::F32(_)) | Expression::As { kind: ScalarKind::Float, convert: None, .. }
        );
        let bits = if is_float { known(at, arena, module) } else { Vec::new() };
        let bits = bits.into_iter().find(|bits| !f32::from_bits(*bits).is_finite())?;
        Some(format!("{:?} of the bits {bits:#x} is a constant", f32::from_bits(bits)))
    })
}

/// A function of naga's own that HLSL defines twice: to naga an alias is another type than the one it stands for, of the same name
/// in HLSL, so that zero values of both, such as `Sum()` and `i32()`, are two functions `ZeroValueint`.
fn defined_again(hlsl: &str) -> Option<&str> {
    let mut names = HashSet::new();
    let defined = hlsl.lines().filter(|line| line.ends_with("() {"));
    let mut defined = defined.filter_map(|line| line.split_once('(')?.0.split(' ').nth(1));
    defined.find(|name| name.starts_with("ZeroValue") && !names.insert(*name))
}

fn translate(source: &str) -> Result<(), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    if let Some(constant) = constant_of_no_number(&module) {
        return Err(constant);
    }
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;

    let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
    spv::write_vec(&module, &info, &options, None).map_err(|e| format!("SPIR-V: {e}"))?;

    let options = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..msl::Options::default() };
    msl::write_string(&module, &info, &options, &msl::PipelineOptions::default()).map_err(|e| format!("MSL: {e}"))?;

    // naga has no HLSL for cooperative matrices, and no adapter of DirectX gets a kernel with them.
    if !source.contains("enable wgpu_cooperative_matrix;") {
        let options = hlsl::Options {
            shader_model: hlsl::ShaderModel::V6_2,
            fake_missing_bindings: true,
            ..hlsl::Options::default()
        };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .map_err(|e| format!("HLSL: {e}"))?;
        if let Some(name) = defined_again(&text) {
            return Err(format!("HLSL: {name} is defined twice: write its zero as a number"));
        }
    }

    let text = wgsl::write_string(&module, &info, wgsl::WriterFlags::empty()).map_err(|e| format!("WGSL: {e}"))?;
    // The writer omits the extension if f16 occurs in conversions only.
    let needs_enable = source.contains("enable f16;") && !text.contains("enable f16;");
    let text = if needs_enable { format!("enable f16;\n{text}") } else { text };
    naga::front::wgsl::parse_str(&text).map_err(|e| format!("WGSL again: {}", e.emit_to_string(&text)))?;
    Ok(())
}

/// A kind of adapter, each of which gets kernels that no other does.
pub struct Kind {
    pub name: &'static str,
    pub noop: Noop,
    pub has_int64: bool,
}

impl Kind {
    pub fn open(&self) -> Device {
        let disable = Disable { int64: !self.has_int64, ..Disable::default() };
        Device::with_options(&DeviceOptions::default().noop(self.noop.clone()).disable(disable)).unwrap()
    }
}

pub fn kinds() -> [Kind; 8] {
    let software = |subgroup_size| Noop { subgroup_size, ..Noop::default() };
    let gpu = |subgroup_size| Noop { software: false, subgroup_size, ..Noop::default() };
    let kind = |name, noop, has_int64| Kind { name, noop, has_int64 };
    [
        kind("llvmpipe", software(8), true),
        kind("llvmpipe without 64-bit integers", software(8), false),
        kind("WARP with DXC", software(4), true),
        kind("WARP with FXC", Noop { f16: false, ..software(1) }, false),
        kind("SwiftShader", Noop { name: "SwiftShader", ..software(4) }, false),
        kind("a GPU", gpu(32), false),
        kind("a GPU with cooperative matrices", Noop { cooperative_matrices: true, ..gpu(32) }, false),
        kind("a GPU without extras", Noop { f16: false, dx12: true, ..gpu(1) }, false),
    ]
}

/// Modules that were checked already.
#[derive(Default)]
pub struct Seen(Mutex<HashSet<u64>>);

impl Seen {
    /// Translates the modules of a device that no earlier device had, and returns their number.
    pub fn translate(&self, kind: &str, what: &str, device: &Device) -> usize {
        let mut sources = device.shader_sources();
        sources.retain(|(_, source)| {
            let mut hasher = DefaultHasher::new();
            source.hash(&mut hasher);
            self.0.lock().unwrap().insert(hasher.finish())
        });
        sources.par_iter().for_each(|(name, source)| {
            let fault = fault(source);
            assert!(fault.is_none(), "{name} of {what} for {kind}: {}\n{source}", fault.unwrap_or_default());
        });
        sources.len()
    }
}
