//! HLSL as wgpu-hal writes it in a release build, with its options and its numbers of registers.

#[path = "../../src/shader/branches.rs"]
mod branches;

use naga::back::hlsl;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess};
use rayon::prelude::*;
use std::error::Error;
use std::fs;
use std::path::Path;

/// A module as wgrad passes it to wgpu.
pub fn parse(source: &str) -> Result<(Module, ModuleInfo), String> {
    let mut module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    branches::drop_known(&mut module);
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;
    Ok((module, info))
}

/// The stems of the modules in a folder, in order.
pub fn stems(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut stems = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wgsl") {
            stems.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    stems.sort();
    Ok(stems)
}

/// Writes the HLSL of every module in a folder, and `list.tsv`: its stem and its entry point.
pub fn write(folder: &Path, model: &str) -> Result<(), Box<dyn Error>> {
    let translate = |stem: &String| {
        let source = fs::read_to_string(folder.join(format!("{stem}.wgsl"))).map_err(|e| e.to_string())?;
        let (text, entry) = hlsl(&source, model).map_err(|e| format!("{stem}: {e}"))?;
        fs::write(folder.join(format!("{stem}.hlsl")), text).map_err(|e| e.to_string())?;
        Ok(format!("{stem}\t{entry}\n"))
    };
    let lines: Result<Vec<String>, String> = stems(folder)?.par_iter().map(translate).collect();
    fs::write(folder.join("list.tsv"), lines?.concat())?;
    Ok(())
}

/// The text, and the name of its entry point.
fn hlsl(source: &str, model: &str) -> Result<(String, String), String> {
    use hlsl::ShaderModel::{V5_1, V6_6};
    let shader_model = match model {
        "5_1" => V5_1,
        "6_6" => V6_6,
        _ => return Err(format!("no shader model {model}")),
    };
    let (module, info) = parse(source)?;
    let target = |register, restrict_indexing| hlsl::BindTarget { register, restrict_indexing, ..Default::default() };
    // Constant buffers, shader resources and unordered access are numbered separately, in the order of the layout.
    let mut registers = [0u32; 3];
    let mut bound: Vec<_> = module.global_variables.iter().filter_map(|(_, v)| Some((v.binding?, v.space))).collect();
    bound.sort_by_key(|(binding, _)| binding.binding);
    let mut binding_map = hlsl::BindingMap::default();
    for (binding, space) in bound {
        let register = &mut registers[match space {
            AddressSpace::Uniform => 0,
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => 2,
            _ => 1,
        }];
        binding_map.insert(binding, target(*register, true));
        *register += 1;
    }
    let options = hlsl::Options {
        shader_model,
        binding_map,
        fake_missing_bindings: false,
        special_constants_binding: Some(target(registers[0], false)),
        zero_initialize_workgroup_memory: false,
        restrict_indexing: false,
        force_loop_bounding: false,
        ..hlsl::Options::default()
    };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, "main".to_string())) };
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    let written = writer.write(&module, &info, None).map_err(|e| e.to_string())?;
    let entry = written.entry_point_names.into_iter().next().ok_or("no entry point")?.map_err(|e| e.to_string())?;
    Ok((text, entry))
}
