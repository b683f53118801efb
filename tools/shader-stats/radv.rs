//! Compiles WGSL with RADV and reads the properties of the result (`VK_KHR_pipeline_executable_properties`).

use ash::vk;
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::error::Error;
use std::ffi::CStr;

/// RADV's report on one shader.
#[derive(Debug, Default)]
pub struct Stats {
    pub vector_registers: u64,
    pub scalar_registers: u64,
    /// Registers of both kinds.
    pub spilled: u64,
    /// Bytes an invocation.
    pub scratch: u64,
    pub instructions: u64,
    /// Subgroups that fit on a SIMD.
    pub waves: u64,
    /// Estimated cycles that a subgroup occupies its SIMD.
    pub throughput: u64,
    pub assembly: String,
}

/// An open RADV device. Nothing is ever destroyed: the process ends when the table is printed.
pub struct Radv {
    pub name: String,
    /// 16-bit floats.
    pub has_f16: bool,
    /// Cooperative matrices, which RDNA 3 has with newer versions of Mesa.
    pub has_cooperative_matrices: bool,
    /// True if fractions of multiply-adds are required: on RDNA 2, whose FMA has every rate.
    pub is_judged: bool,
    device: ash::Device,
    executables: ash::khr::pipeline_executable_properties::Device,
    // Keeps the loader's library open.
    _entry: ash::Entry,
}

fn text(name: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = name.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn number(statistic: &vk::PipelineExecutableStatisticKHR) -> u64 {
    // SAFETY: the format selects the valid member.
    unsafe {
        match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::UINT64 => statistic.value.u64,
            vk::PipelineExecutableStatisticFormatKHR::INT64 => statistic.value.i64 as u64,
            vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => statistic.value.f64 as u64,
            _ => u64::from(statistic.value.b32 != 0),
        }
    }
}

impl Radv {
    pub fn open() -> Result<Radv, Box<dyn Error>> {
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the calls are in the order that Vulkan requires, and their pointers' targets outlive them.
        unsafe {
            let entry = ash::Entry::load()?;
            let instance = entry.create_instance(&create, None)?;
            let physical = *instance.enumerate_physical_devices()?.first().ok_or("RADV shows no device")?;
            let name = text(&instance.get_physical_device_properties(physical).device_name);
            if !name.contains("RADV") {
                return Err(format!("the driver is {name}, not RADV: set VK_DRIVER_FILES to radeon_icd.*.json").into());
            }
            let mut memory = vk::PhysicalDeviceVulkan11Features::default();
            let mut small = vk::PhysicalDeviceVulkan12Features::default();
            let mut features = vk::PhysicalDeviceFeatures2::default().push_next(&mut memory).push_next(&mut small);
            instance.get_physical_device_features2(physical, &mut features);
            let has_f16 = small.shader_float16 != 0 && memory.storage_buffer16_bit_access != 0;

            let available = instance.enumerate_device_extension_properties(physical)?;
            let has_cooperative_matrices =
                available.iter().any(|one| one.extension_name_as_c_str() == Ok(ash::khr::cooperative_matrix::NAME));

            let mut executable =
                vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
            let mut small = vk::PhysicalDeviceVulkan12Features::default().shader_float16(has_f16);
            let mut memory = vk::PhysicalDeviceVulkan11Features::default().storage_buffer16_bit_access(has_f16);
            let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
            let mut extensions = vec![ash::khr::pipeline_executable_properties::NAME.as_ptr()];
            if has_cooperative_matrices {
                extensions.push(ash::khr::cooperative_matrix::NAME.as_ptr());
                small = small.vulkan_memory_model(true).vulkan_memory_model_device_scope(true);
            }
            let mut create = vk::DeviceCreateInfo::default()
                .queue_create_infos(&queues)
                .enabled_extension_names(&extensions)
                .push_next(&mut executable)
                .push_next(&mut small)
                .push_next(&mut memory);
            if has_cooperative_matrices {
                create = create.push_next(&mut matrices);
            }
            let device = instance.create_device(physical, &create, None)?;
            let executables = ash::khr::pipeline_executable_properties::Device::new(&instance, &device);
            let is_judged = name.contains("NAVI");
            Ok(Radv { name, has_f16, has_cooperative_matrices, is_judged, device, executables, _entry: entry })
        }
    }

    /// Compiles a module as wgpu does for trusted shaders: no bounds checks, workgroup memory not zeroed.
    pub fn compile(&self, source: &str) -> Result<Stats, Box<dyn Error>> {
        let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;
        let unchecked = BoundsCheckPolicies {
            index: BoundsCheckPolicy::Unchecked,
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        };
        let options = spv::Options {
            lang_version: (1, 3),
            bounds_check_policies: unchecked,
            force_loop_bounding: false,
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            ..spv::Options::default()
        };
        let words = spv::write_vec(&module, &info, &options, None)?;
        let bindings: Vec<vk::DescriptorSetLayoutBinding> = module
            .global_variables
            .iter()
            .filter_map(|(_, global)| {
                let kind = match global.space {
                    naga::AddressSpace::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                    _ => vk::DescriptorType::STORAGE_BUFFER,
                };
                let binding = vk::DescriptorSetLayoutBinding::default()
                    .binding(global.binding.as_ref()?.binding)
                    .descriptor_type(kind)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE);
                Some(binding)
            })
            .collect();
        // SAFETY: handles belong to this device, and the pointers' targets outlive the calls.
        let pipeline = unsafe {
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets = [self.device.create_descriptor_set_layout(&set, None)?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = self.device.create_pipeline_layout(&layout, None)?;
            let shader = self.device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(&words), None)?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(shader)
                .name(c"main");
            let capture = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let create = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(capture);
            let made = self.device.create_compute_pipelines(vk::PipelineCache::null(), &[create], None);
            made.map_err(|(_, error)| error)?.swap_remove(0)
        };
        self.stats(pipeline)
    }

    fn stats(&self, pipeline: vk::Pipeline) -> Result<Stats, Box<dyn Error>> {
        let executable = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        let mut stats = Stats { assembly: self.assembly(&executable)?, ..Stats::default() };
        // SAFETY: the pipeline belongs to this device and was made for these queries.
        let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&executable)? };
        for statistic in &statistics {
            let value = number(statistic);
            match text(&statistic.name).as_str() {
                "VGPRs" => stats.vector_registers = value,
                "SGPRs" => stats.scalar_registers = value,
                "Spilled SGPRs" | "Spilled VGPRs" => stats.spilled += value,
                "Scratch size" => stats.scratch = value,
                "Instructions" => stats.instructions = value,
                "Subgroups per SIMD" => stats.waves = value,
                "Inverse Throughput" => stats.throughput = value,
                _ => {}
            }
        }
        if stats.instructions == 0 {
            return Err("RADV gives no statistics that this tool knows".into());
        }
        Ok(stats)
    }

    fn assembly(&self, executable: &vk::PipelineExecutableInfoKHR) -> Result<String, Box<dyn Error>> {
        // SAFETY: queried twice as Vulkan requires: for the sizes, then with buffers of these sizes.
        unsafe {
            let call = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let device = self.device.handle();
            let mut count = 0;
            call(device, executable, &mut count, std::ptr::null_mut()).result()?;
            let mut found = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            call(device, executable, &mut count, found.as_mut_ptr()).result()?;
            let mut texts: Vec<Vec<u8>> = found.iter().map(|one| vec![0; one.data_size]).collect();
            for (one, text) in found.iter_mut().zip(&mut texts) {
                one.p_data = text.as_mut_ptr().cast();
            }
            call(device, executable, &mut count, found.as_mut_ptr()).result()?;
            let assembly = found.iter().zip(&texts).find(|(one, _)| text(&one.name).contains("Assembly"));
            let (_, bytes) = assembly.ok_or("RADV shows no assembly")?;
            Ok(CStr::from_bytes_until_nul(bytes)?.to_string_lossy().into_owned())
        }
    }
}
