//! Every template, and every module specialised for the cases of all operations, validates and translates to SPIR-V,
//! MSL, HLSL and WGSL. Needs no GPU: the cases run on wgpu's noop adapter, posing as adapters of both kinds.

use crate::common::modules::{Seen, fault, kinds};
use crate::common::{files, has_f16, numbered, results};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::hash::Hasher;
use std::path::Path;
use wgrad::custom::{Class, Formula, HostTensor, Layout, Op, apply};
use wgrad::{Conv2dOptions, DType, Device, DeviceOptions, Disable, DynamicSizes, Noop, Tensor, ops};

/// Libraries, and templates with their imports.
fn shaders() -> [Vec<(String, String)>; 2] {
    let (libraries, templates): (Vec<_>, _) =
        files(&["shaders"]).into_iter().partition(|(path, _)| path.starts_with("shaders/lib/"));
    let (imports, templates): (Vec<_>, Vec<_>) =
        templates.into_iter().partition(|(path, _)| path.starts_with("shaders/import/"));
    let expand = |text: String| {
        imports.iter().fold(text, |text, (path, import)| {
            let name = Path::new(path).file_stem().unwrap().to_string_lossy();
            text.replace(&format!("#import {name}\n"), import)
        })
    };
    [libraries, templates.into_iter().map(|(path, text)| (path, expand(text))).collect()]
}

#[test]
fn templates_are_modules_with_their_imports() {
    let [_, templates] = shaders();
    for (path, text) in &templates {
        let enable = if text.contains("f16") { "enable f16;\n" } else { "" };
        assert_eq!(fault(&format!("{enable}{text}")), None, "{path}");
        assert!(text.starts_with("//"), "{path} has no header comment");
    }
    assert!(templates.len() >= 10, "only {} templates", templates.len());
}

#[test]
fn imports_serve_several_templates() {
    let templates = files(&["shaders"]);
    for (path, text) in files(&["shaders/import"]) {
        let line = format!("#import {}\n", Path::new(&path).file_stem().unwrap().to_string_lossy());
        let users = templates.iter().filter(|(_, text)| text.contains(&line)).count();
        assert!(users > 1, "{path} is imported by {users} templates");
        assert!(text.starts_with("//") && !text.contains("#import"), "{path}");
    }
}

/// The functions, constants and types that a text declares.
fn declared(text: &str) -> BTreeSet<&str> {
    let words = ["fn ", "const ", "alias ", "struct "];
    let rest = text.lines().filter_map(|line| words.iter().find_map(|word| line.strip_prefix(word)));
    rest.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()).collect()
}

#[test]
fn templates_with_open_stores_leave_the_libraries_their_names() {
    let [libraries, templates] = shaders();
    for (path, template) in templates.iter().filter(|(_, text)| text.contains("fn store_output")) {
        for (library, text) in &libraries {
            let both: Vec<_> = declared(template).intersection(&declared(text)).copied().collect();
            assert!(both.is_empty(), "{path} and {library} both declare {both:?}");
        }
    }
}

fn open(noop: Noop, disable: Disable) -> Device {
    Device::with_options(&DeviceOptions::default().noop(noop).disable(disable)).unwrap()
}

/// The text of all templates, libraries and formulas, by file.
fn texts() -> Vec<(String, String)> {
    let without_tests = |text: String| text.split("#[cfg(test)]").next().unwrap_or("").to_string();
    files(&["shaders", "src/ops", "src/plan"]).into_iter().map(|(path, text)| (path, without_tests(text))).collect()
}

/// Groups past 65,535 are in further rows of a grid. Few sizes that a test can compute have any, so the text is looked at.
#[test]
fn rows_of_a_grid_are_as_long_as_it_is_wide() {
    let forms = [
        "group.x + group.y * groups.x",
        "group.y * groups.x + group.x",
        "group.z * groups.x + group.x",
        "group.z / layers * groups.x + group.x",
    ];
    let mut seen = 0;
    for (path, text) in files(&["shaders"]) {
        for line in text.lines().map(|line| line.split("//").next().unwrap_or("").replace("workgroup", "group")) {
            let uses = line.matches("groups.").count();
            let known: usize = forms.iter().map(|form| line.matches(form).count()).sum();
            assert_eq!(uses, known, "{path}: {line}");
            seen += uses;
        }
    }
    assert!(seen > 20, "only {seen} grids");
}

/// Metal assumes that no float is NaN, and `x != x` may be false then: NaN is found by its bits.
#[test]
fn nothing_is_compared_with_itself() {
    let is_operand = |c: char| c.is_ascii_alphanumeric() || "_.{}[]".contains(c);
    let compares = |line: &str| {
        [" == ", " != "].iter().any(|sign| {
            line.match_indices(sign).any(|(at, _)| {
                let left = line[..at].rsplit(|c| !is_operand(c)).next().unwrap_or("");
                let right = line[at + sign.len()..].split(|c| !is_operand(c)).next().unwrap_or("");
                left == right && !left.is_empty()
            })
        })
    };
    assert!(compares("let odd = a & (y == y);") && compares("({0} != {0})") && !compares("x == x0"));
    for (name, text) in texts() {
        let found = text.lines().find(|line| compares(line.split("//").next().unwrap_or("")));
        assert_eq!(found, None, "{name}");
    }
}

/// The errors if a compiler assumes that no float is infinite, and the reason why there is no variant on bits.
const NEEDS_INFINITIES: [(&str, &str); 6] = [
    (
        "shaders/losses/ctc_loss.wgsl",
        "the logarithm of no path is minus infinity; it is compared with, and its exponential is 0",
    ),
    ("shaders/lib/error_function_inverse.wgsl", "erf is 1 at infinity alone: made of bits, and handed on as it is"),
    ("shaders/lib/power.wgsl", "0 to a negative power is infinite: made of bits, and handed on as it is"),
    ("src/ops/sequence/attention.rs", "what is masked weighs e^-infinity; masks are added, as in PyTorch"),
    ("src/ops/detection/nms.rs", "a score of minus infinity stands for no box; scores are compared with it"),
    ("src/plan/codegen/reduction.rs", "the largest of nothing, which every number is compared with"),
];

#[test]
fn infinities_are_made_where_it_is_known() {
    let makes = |line: &str| {
        let line = line.split("//").next().unwrap_or("");
        // Other checks compare a number's bits.
        let asks = |at: usize| {
            let before = line[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '(');
            [" > ", " >= ", " == ", " != ", " & "].iter().any(|sign| before.ends_with(sign))
        };
        let mut bits = ["0x7f800000u", "0xff800000u"].iter().flat_map(|bits| line.match_indices(bits));
        line.contains("::NEG_INFINITY)") || line.contains("f32::INFINITY)") || bits.any(|(at, _)| !asks(at))
    };
    let is_made =
        |(name, text): (String, String)| (!name.ends_with("tests.rs") && text.lines().any(makes)).then_some(name);
    let made: BTreeSet<String> = texts().into_iter().filter_map(is_made).collect();
    let known: BTreeSet<String> = NEEDS_INFINITIES.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(made, known);
}

/// A constant expression that is NaN or infinite is an error in WGSL, and not in naga.
#[test]
fn no_constant_is_not_a_number() {
    let types = ["U", "I", "F", "u32", "i32", "f32", "vec4"];
    let is_constant = |argument: &str| {
        let mut words =
            argument.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        words.all(|word| word.starts_with(|c: char| c.is_ascii_digit()) || types.contains(&word))
    };
    let argument = |text: &str| {
        let mut depth = 0;
        let end = text.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        text[..end.unwrap_or(text.len())].to_string()
    };
    let found = |text: &str| {
        let casts = text.match_indices("bitcast<F>(").chain(text.match_indices("bitcast<f32>("));
        casts.map(|(at, cast)| argument(&text[at + cast.len() - 1..])).find(|argument| is_constant(argument))
    };
    assert!(found("let nan = bitcast<F>(U(0x7fc00000u));").is_some() && found("bitcast<f32>(1u + {s0})").is_none());
    for (name, text) in texts() {
        assert_eq!(found(&text), None, "{name}");
    }
}

/// Runs all cases; calls `visit` after some of them, before the device drops modules that were not used for long.
fn record_all(device: &Device, mut visit: impl FnMut(&Device)) {
    let has_f16 = has_f16(device);
    for (number, case) in numbered(&ops::cases()).into_iter().filter(|(_, case)| has_f16 || !case.needs_f16) {
        // Every other case with sizes that kernels read.
        device.dynamic_sizes(if number % 2 == 0 { DynamicSizes::Always } else { DynamicSizes::Never });
        // Values mean nothing here; the noop adapter computes none.
        results(case, number, device).unwrap_or_else(|e| panic!("{}: {e}", case.name()));
        if number % 1000 % 16 == 1 {
            visit(device);
        }
    }
    visit(device);
}

#[test]
fn modules_with_written_out_functions_are_valid() {
    // A module that was not would be an error of its case.
    let noop = Noop { subgroup_size: 4, name: "SwiftShader", ..Noop::default() };
    let device = open(noop, Disable { int64: true, ..Disable::default() });
    let written_out = |(name, source): (String, String)| source.contains("alias driver_F").then_some(name);
    let mut stems = BTreeSet::new();
    record_all(&device, |device| stems.extend(device.shader_sources().into_iter().filter_map(written_out)));
    // `conv2d` and others have functions in the formulas of their loads and stores.
    for stem in ["pointwise", "rows", "ctc_loss", "matmul_plain"] {
        assert!(stems.contains(stem), "{stem} is not among {stems:?}");
    }
}

/// Matrix products with formulas in their loads and stores.
type Product = fn(&Tensor, &Tensor) -> wgrad::Result<Tensor>;

#[test]
fn products_by_cooperative_matrices_take_what_stands_behind_them() {
    let gpu = Noop { software: false, subgroup_size: 32, cooperative_matrices: true, ..Noop::default() };
    let device = open(gpu, Disable::default());
    let half = || Tensor::rand(&device, &[256, 256])?.to_dtype(DType::F16)?.contiguous();
    let (a, b) = (half().unwrap(), half().unwrap());
    let bias = Tensor::rand(&device, &[256]).unwrap().to_dtype(DType::F16).unwrap();
    device.flush().unwrap();
    let products: [(&str, Product); 6] = [
        ("relu", |a, b| a.matmul(b)?.relu()),
        ("a number", |a, b| a.matmul(b)?.mul_scalar(2.0)),
        ("a cast", |a, b| a.matmul(b)?.to_dtype(DType::F32)),
        ("a truth value", |a, b| a.matmul(b)?.gt_scalar(0.5)),
        ("a residual and its mask", |a, b| a.matmul(b)?.add(a)?.maximum(b)),
        ("a library", |a, b| a.matmul(b)?.tanh()),
    ];
    for (name, product) in products {
        product(&a, &b).unwrap().to_f64().unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    a.linear(&b, Some(&bias)).unwrap().to_f64().unwrap();
    let behind = device.shader_sources().into_iter().filter(|(name, _)| name == "matmul_cooperative");
    let mut faults = behind.map(|(_, source)| fault(&source)).peekable();
    assert!(faults.peek().is_some(), "no product took cooperative matrices");
    assert!(faults.all(|fault| fault.is_none()));
}

#[test]
fn specialised_modules_translate() {
    // Running all cases again takes seconds: the other kinds are similar to these.
    let usual = ["llvmpipe", "WARP with FXC", "a GPU", "a GPU with cooperative matrices", "a GPU without extras"];
    let mut kinds = Vec::from(kinds());
    kinds.retain(|kind| std::env::var_os("WGRAD_TEST_ALL").is_some() || usual.contains(&kind.name));
    let seen = Seen::default();
    let stems = kinds.into_par_iter().flat_map(|kind| {
        let mut stems = BTreeSet::new();
        record_all(&kind.open(), |device| {
            seen.translate(kind.name, "a case", device);
            stems.extend(device.shader_sources().into_iter().map(|(name, _)| name));
        });
        stems
    });
    let mut stems: BTreeSet<String> = stems.collect();
    // Every template is used by some case on some kind of adapter, or measures an adapter.
    stems.insert("peak".to_string());
    let stem = |path: &str| Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
    let [_, templates] = shaders();
    let unused: Vec<String> =
        templates.iter().map(|(path, _)| stem(path)).filter(|stem| !stems.contains(stem)).collect();
    assert!(unused.is_empty(), "no case uses {unused:?}");
}

/// A caller's own formula.
#[derive(Clone, Copy, Debug)]
struct Twice;

static TWICE: Formula = Formula::new("twice", "(F(2.0) * {0})");

impl Op for Twice {
    fn name(&self) -> &'static str {
        TWICE.name
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&TWICE)
    }
    fn outputs(&self, inputs: &[Layout]) -> wgrad::Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> wgrad::Result<Vec<HostTensor>> {
        Ok(inputs.to_vec())
    }
}

/// The text between two calls of it.
type Program = fn(&Tensor) -> wgrad::Result<Tensor>;

#[test]
fn kernels_with_a_callers_formula_are_checked() {
    // Release builds omit these for our own kernels: bounds of indices and of loops. The mark is part of a kernel's text.
    let programs: [(&str, Program); 4] = [
        ("pointwise", |x| x.relu()),
        ("rows", |x| x.softmax(3)),
        ("behind a convolution", |x| {
            x.conv2d(&Tensor::rand(x.device(), &[2, 2, 3, 3])?, None, &Conv2dOptions::default())
        }),
        ("before a product", |x| x.matmul(&Tensor::rand(x.device(), &[8, 8])?)),
    ];
    for (name, program) in programs {
        let modules = |own: fn(Tensor) -> wgrad::Result<Tensor>| {
            let device = open(Noop::default(), Disable::default());
            let x = Tensor::rand(&device, &[2, 2, 8, 8])?;
            device.flush()?;
            own(program(&own(x)?)?)?.to_vec::<f32>()?;
            Ok::<_, wgrad::Error>(device.shader_sources())
        };
        assert!(modules(Ok).unwrap().iter().all(|(_, text)| !text.starts_with("// checked")), "{name}");
        let mut with_own = modules(|x| Ok(apply(Twice, &[&x])?.remove(0))).unwrap();
        with_own.retain(|(_, text)| text.contains("// twice"));
        assert!(!with_own.is_empty() && with_own.iter().all(|(_, text)| text.starts_with("// checked")), "{name}");
    }
}

#[test]
fn broken_modules_are_seen() {
    let good = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;\n@compute @workgroup_size(1) fn main() { x[0] = 1.0; }";
    assert_eq!(fault(good), None);
    assert!(fault(&good.replace("1.0;", "1u;")).is_some());
    assert!(fault(&good.replace(" read_write", " read")).is_some());
    assert!(fault(&good.replace("main() {", "main() { y = 2;")).is_some());
    let no_numbers =
        ["f32(0x7fc00000u)", "f32(NAN)", "vec4<f32>(vec4(1u, 2u, INFINITE, 3u))", "vec2<f32>(vec2(-8388608))"];
    for number in no_numbers {
        let text = format!("const NAN = 0x7fc00001u;\nconst INFINITE = 0xff800000u;\n{good}");
        let (of, bits) = number.split_once('(').unwrap();
        let [x] = [if of == "f32" { "" } else { ".x" }];
        assert_eq!(fault(&text), None);
        let text = text.replace("1.0;", &format!("bitcast<{of}>({bits}{x};"));
        assert!(fault(&text).is_some_and(|fault| fault.contains("is a constant")), "{text}");
    }
    assert_eq!(fault(&good.replace("1.0;", "bitcast<f32>(bitcast<u32>(x[1]) | 0x7f800000u);")), None);
    let zeros = good.replace("1.0;", "select(Sum(), f32(), x[1] > 2.0);");
    let fault = fault(&format!("alias Sum = f32;\n{zeros}")).unwrap();
    assert!(fault.contains("ZeroValuefloat is defined twice"), "{fault}");
}
