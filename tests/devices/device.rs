//! Opening devices, and every failure of a device: typed errors, and no panic.

use crate::common::{adapter, alone, files};
use std::time::Duration;
use wgrad::{Device, DeviceOptions, Error, Graph, Noop, Tensor};

fn noop(noop: Noop) -> Device {
    Device::with_options(&DeviceOptions::default().noop(noop)).unwrap()
}

/// A device of its own, for tests that break it.
fn own(options: &DeviceOptions) -> Option<Device> {
    adapter().map(|_| Device::with_options(options).unwrap())
}

#[test]
fn an_unknown_adapter_is_an_error_that_lists_what_there_is() {
    let options = DeviceOptions::default().adapter_name("no such adapter");
    let error = Device::with_options(&options).unwrap_err();
    let Error::NoAdapter { wanted, available } = &error else { panic!("{error}") };
    assert!(wanted.contains("no such adapter"));
    for info in Device::adapters() {
        assert!(available.contains(&info.name), "{available} lacks {}", info.name);
    }
    assert!(error.to_string().contains("Device::reference()"));
}

#[test]
fn a_part_of_the_name_in_any_case_is_enough() {
    let Some(device) = adapter() else { return };
    let part: String = device.name().chars().take(5).collect();
    let options = DeviceOptions::default().adapter_name(part.to_uppercase());
    let same = Device::with_options(&options).unwrap();
    assert!(same.name().to_lowercase().contains(&part.to_lowercase()));
    assert_ne!(same, device);
}

#[test]
fn a_backend_that_is_not_there_is_an_error() {
    let elsewhere = if cfg!(target_os = "linux") { wgpu::Backends::DX12 } else { wgpu::Backends::GL };
    let options = DeviceOptions::default().backends(elsewhere);
    assert!(matches!(Device::with_options(&options), Err(Error::NoAdapter { .. })));
}

/// The environment belongs to the whole process, so a separate process reads it: this test binary again, running
/// [`opens_what_the_environment_names`] alone.
fn opened_with(variable: &str, value: &str) -> String {
    let output = alone(module_path!(), "opens_what_the_environment_names")
        .env("WGRAD_TEST_SHOW", "1")
        .env(variable, value)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[allow(clippy::print_stdout)]
fn opens_what_the_environment_names() {
    if std::env::var("WGRAD_TEST_SHOW").is_ok() {
        match Device::open() {
            Ok(device) => println!("opened {}", device.name()),
            Err(error) => println!("refused {error}"),
        }
    }
}

#[test]
fn the_environment_is_honoured() {
    let shown = opened_with("WGPU_ADAPTER_NAME", "no such adapter");
    assert!(shown.contains("refused no adapter fits the name \"no such adapter\""), "{shown}");
    let shown = opened_with("WGPU_BACKEND", "noop");
    assert!(shown.contains("refused no adapter fits"), "{shown}");
    let Some(device) = adapter() else { return };
    for preference in ["low", "high"] {
        let shown = opened_with("WGPU_POWER_PREF", preference);
        assert!(shown.contains("opened "), "{shown}");
    }
    let shown = opened_with("WGPU_ADAPTER_NAME", device.name());
    assert!(shown.contains(&format!("opened {}", device.name())), "{shown}");
}

#[test]
fn adapters_are_listed_best_first() {
    let order = ["discrete", "integrated", "virtual", "software", "other"];
    let kinds: Vec<usize> =
        Device::adapters().iter().map(|info| order.iter().position(|&k| k == info.kind).unwrap()).collect();
    assert!(kinds.is_sorted());
    for info in Device::adapters() {
        assert!(info.to_string().contains(&info.name) && info.max_workgroup_invocations >= 256);
    }
}

#[test]
fn a_lost_device_is_an_error_for_ever() {
    let Some(device) = own(&DeviceOptions::default()) else { return };
    let x = Tensor::ones(&device, &[8]).unwrap();
    assert_eq!(x.to_vec::<f32>().unwrap(), [1.0; 8]);
    device.wgpu_device().unwrap().destroy();
    for _ in 0..2 {
        let lost = |result: Result<(), Error>| matches!(result, Err(Error::DeviceLost { .. }));
        let first = x.add_scalar(1.0).unwrap().to_vec::<f32>().map(drop);
        assert!(lost(first.clone()), "{first:?}");
        assert!(lost(x.to_vec::<f32>().map(drop)));
        assert!(lost(device.sync()));
    }
    let text = device.sync().unwrap_err().to_string();
    assert!(text.contains("Open a new device"), "{text}");
    device.empty_cache();
    let _ = device.stats();
}

#[test]
fn a_lost_device_in_the_middle_of_a_training_loop() {
    let Some(device) = own(&DeviceOptions::default()) else { return };
    let weight = wgrad::Parameter::new("weight", &Tensor::ones(&device, &[4, 4]).unwrap());
    let mut failed = false;
    for step in 0..6 {
        if step == 3 {
            device.wgpu_device().unwrap().destroy();
        }
        let run = || -> wgrad::Result<f32> {
            let loss = weight.value().square()?.sum_all()?;
            loss.backward()?;
            weight.assign(&weight.value().sub(&weight.grad().unwrap().mul_scalar(0.1)?)?)?;
            weight.zero_grad();
            loss.item::<f32>()
        };
        match run() {
            Ok(_) => assert!(step < 3),
            Err(error) => {
                assert!(matches!(error, Error::DeviceLost { .. }), "step {step}: {error}");
                failed = true;
            }
        }
    }
    assert!(failed);
}

#[test]
fn a_timeout_of_nothing_is_a_timeout() {
    let Some(device) = own(&DeviceOptions::default().timeout(Duration::ZERO)) else { return };
    // On a busy machine the adapter may be done before the waiting begins, but not every time.
    let read = || -> wgrad::Result<usize> {
        let mut x = Tensor::rand(&device, &[512, 512])?;
        for _ in 0..8 {
            x = x.matmul(&x)?;
        }
        Ok(x.to_vec::<f32>()?.len())
    };
    let error = (0..100).find_map(|_| read().err()).expect("no wait of a hundred timed out");
    assert!(matches!(error, Error::Timeout { waited: Duration::ZERO }), "{error}");
    assert!(error.to_string().contains("DeviceOptions::timeout"));
}

#[test]
fn sizes_past_the_limits_are_errors_when_they_are_recorded() {
    for device in adapter().into_iter().chain([Device::reference(), noop(Noop::default())]) {
        let error = Tensor::zeros(&device, &[1 << 20, 1 << 20]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("[1048576, 1048576]"), "{error}");
        let error = Tensor::zeros(&device, &[usize::MAX, 2]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        let x = Tensor::ones(&device, &[1 << 17, 1]).unwrap();
        let error = x.matmul(&x.t().unwrap()).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        let error = x.expand(&[1 << 17, 1 << 17]);
        assert!(matches!(error, Err(Error::TooLarge { .. })), "{error:?}");
    }
}

#[test]
fn an_adapter_with_small_buffers_says_so() {
    let device = noop(Noop { max_buffer_bytes: 1 << 20, ..Noop::default() });
    let most = device.adapter().unwrap().max_binding_bytes;
    assert!(((1 << 20) - 64..=1 << 20).contains(&most));
    let fits = Tensor::zeros(&device, &[most as usize / 4]).unwrap();
    assert_eq!(fits.to_vec::<f32>().unwrap().len(), most as usize / 4);
    let error = Tensor::zeros(&device, &[most as usize / 4 + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == most), "{error}");
    // Views are free, however large their shapes; storing one is not.
    let wide = Tensor::zeros(&device, &[1, 1 << 10]).unwrap().expand(&[1 << 10, 1 << 10]).unwrap();
    let error = wide.copy().unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[test]
fn memory_that_runs_out_is_an_error_and_the_device_goes_on() {
    // Noop buffers are the process's own memory, and no address space holds this one; a tensor is never that large.
    let device = noop(Noop { max_buffer_bytes: 1 << 62, ..Noop::default() });
    let descriptor = wgpu::BufferDescriptor {
        label: None,
        size: 1 << 60,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let _ = device.wgpu_device().unwrap().create_buffer(&descriptor);
    let error = device.sync().unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert!(error.to_string().contains("smaller batch"), "{error}");
    assert_eq!(Tensor::ones(&device, &[3]).unwrap().to_vec::<f32>().unwrap().len(), 3);
    device.sync().unwrap();
}

/// The address space that this process uses, in kB.
#[cfg(target_os = "linux")]
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    size.trim().trim_end_matches(" kB").parse().unwrap()
}

/// In a process of its own, whose memory is bounded.
#[cfg(target_os = "linux")]
#[test]
fn three_tensors_in_the_room_of_two() {
    if std::env::var_os("WGRAD_TEST_MEMORY").is_none() {
        return;
    }
    const MEGABYTES: usize = 1 << 18;
    let device = noop(Noop::default());
    let computed = |megabytes: usize| {
        let x = Tensor::zeros(&device, &[megabytes * MEGABYTES]).unwrap();
        device.sync().map(|()| x)
    };
    computed(1).unwrap();
    // A noop buffer takes twice its size while it is made.
    let limit = (address_space() << 10) + (240 << 20);
    let bounded = ["--pid", &std::process::id().to_string(), &format!("--as={limit}")].map(String::from);
    assert!(std::process::Command::new("prlimit").args(bounded).status().unwrap().success());
    drop([computed(75).unwrap(), computed(75).unwrap()]);
    let pooled = device.stats().bytes_pooled;
    assert!(pooled >= 150 << 20, "{pooled}");
    // Another size, and more than is left.
    let large = computed(100).unwrap();
    assert!(device.stats().bytes_pooled < 10 << 20, "{:?}", device.stats());
    // Live memory can't be given back.
    let error = computed(200).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    drop(large);
    computed(100).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_that_runs_out_is_taken_from_the_pool() {
    let output =
        alone(module_path!(), "three_tensors_in_the_room_of_two").env("WGRAD_TEST_MEMORY", "1").output().unwrap();
    let said = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success() && said[0].contains("1 passed"), "{}", said.concat());
}

#[test]
fn errors_nobody_caught_come_at_the_next_synchronisation() {
    let Some(device) = own(&DeviceOptions::default()) else { return };
    let raw = device.wgpu_device().unwrap();
    let descriptor = wgpu::BufferDescriptor {
        label: None,
        size: 16,
        // Mapping for reading goes with copying only: wgpu refuses this.
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let _ = raw.create_buffer(&descriptor);
    let error = device.sync().unwrap_err();
    assert!(matches!(error, Error::Device { .. }), "{error}");
    // Reported once; the device goes on.
    device.sync().unwrap();
    assert_eq!(Tensor::ones(&device, &[3]).unwrap().to_vec::<f32>().unwrap(), [1.0; 3]);
}

#[test]
fn an_applications_device_is_shared() {
    let Some(device) = adapter() else { return };
    let raw = device.wgpu_device().unwrap();
    // An application's own device: any will do.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let theirs = adapters.into_iter().find(|a| a.get_info().name == raw.adapter_info().name).unwrap();
    let (their_device, queue) = pollster::block_on(theirs.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    let shared = Device::from_wgpu(their_device.clone(), queue).unwrap();
    let x = Tensor::from_slice(&shared, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2]).unwrap();
    assert_eq!(x.matmul(&x).unwrap().to_vec::<f32>().unwrap(), [7.0, 10.0, 15.0, 22.0]);
    for sum in x.softmax(0).unwrap().sum(0).unwrap().to_vec::<f32>().unwrap() {
        approx::assert_relative_eq!(sum, 1.0, max_relative = 4.0 * f32::EPSILON);
    }
    // Loss shows as an error although the handlers are the application's.
    their_device.destroy();
    assert!(x.exp().unwrap().to_vec::<f32>().is_err());
}

#[test]
fn tensors_of_two_devices_do_not_mix() {
    let (a, b) = (Device::reference(), noop(Noop::default()));
    let (x, y) = (Tensor::ones(&a, &[2]).unwrap(), Tensor::ones(&b, &[2]).unwrap());
    let error = x.add(&y).unwrap_err();
    assert!(matches!(error, Error::DeviceMismatch { op: "add", .. }), "{error}");
    assert!(error.to_string().contains("reference"), "{error}");
    let matrix = Tensor::ones(&a, &[2, 2]).unwrap();
    assert!(matches!(matrix.matmul(&y), Err(Error::DeviceMismatch { .. })));
    // Two references are two devices.
    let z = Tensor::ones(&Device::reference(), &[2]).unwrap();
    assert!(matches!(x.mul(&z), Err(Error::DeviceMismatch { .. })));
    assert!(matches!(Graph::of(&[&x, &z]), Err(Error::DeviceMismatch { .. })));
}

#[test]
fn the_noop_adapter_runs_everything_and_computes_nothing() {
    let device = noop(Noop::default());
    assert_eq!(Tensor::from_slice(&device, &[1.0f32, 2.0], &[2]).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
    let x = Tensor::rand(&device, &[64, 64]).unwrap();
    assert_eq!(x.matmul(&x).unwrap().to_vec::<f32>().unwrap().len(), 4096);
    assert!(device.stats().dispatches >= 2);
    assert!(!device.is_reference() && device.adapter().unwrap().is_cpu);
    assert!(!noop(Noop { software: false, ..Noop::default() }).adapter().unwrap().is_cpu);
}

#[test]
fn half_precision_needs_the_feature() {
    let device = noop(Noop { f16: false, ..Noop::default() });
    let x = Tensor::ones(&device, &[2]).unwrap();
    let error = x.to_dtype(wgrad::DType::F16).unwrap_err();
    assert!(matches!(error, Error::Unsupported { feature: "shader-f16", .. }), "{error}");
    let error = Tensor::full(&device, &[2], half::f16::ONE).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn stats_count_what_happens() {
    let device = noop(Noop::default());
    let start = device.stats();
    assert_eq!((start.buffers, start.pipelines, start.dispatches, start.bytes_live), (0, 0, 0, 0));
    let x = Tensor::ones(&device, &[1024]).unwrap().exp().unwrap();
    assert_eq!(device.stats(), start, "recording does nothing");
    device.flush().unwrap();
    let ran = device.stats();
    assert_eq!((ran.buffers, ran.pipelines, ran.bind_groups, ran.dispatches, ran.submits), (1, 1, 1, 1, 1));
    assert_eq!((ran.bytes_live, ran.bytes_pooled, ran.bytes_peak), (4096, 0, 4096));
    assert_eq!((ran.plans, ran.runs), (1, 1));
    drop(x);
    let dropped = device.stats();
    assert_eq!((dropped.bytes_live, dropped.bytes_pooled), (0, 4096));
    device.empty_cache();
    let emptied = device.stats();
    assert_eq!((emptied.bytes_live, emptied.bytes_pooled, emptied.bytes_peak), (0, 0, 4096));
}

#[test]
fn devices_and_tensors_go_from_thread_to_thread() {
    let device = adapter().unwrap_or_else(Device::reference);
    let threads: Vec<_> = (0..4)
        .map(|k| {
            let device = device.clone();
            std::thread::spawn(move || {
                let mut total = 0.0;
                for i in 0..20 {
                    let x = Tensor::full(&device, &[33], (k * 100 + i) as f32).unwrap();
                    total += x.add_scalar(1.0).unwrap().sum_all().unwrap().item::<f32>().unwrap();
                }
                total
            })
        })
        .collect();
    for (k, thread) in threads.into_iter().enumerate() {
        let expected: usize = (0..20).map(|i| 33 * (k * 100 + i + 1)).sum();
        assert_eq!(thread.join().unwrap(), expected as f32);
    }
}

/// Kernels and plans ask the profile, which says how adapters differ. A report names the kind of the adapter.
#[test]
fn no_room_but_the_device_asks_for_the_kind_of_an_adapter() {
    let asks = files(&["src"]).into_iter().filter(|(_, text)| text.contains("is_cpu"));
    let is_let =
        |(path, _): &(String, String)| ["src/device/", "src/report/"].iter().any(|room| path.starts_with(room));
    let (right, wrong): (Vec<_>, Vec<_>) = asks.partition(is_let);
    assert!(!right.is_empty(), "the kind has another name by now");
    let wrong: Vec<String> = wrong.into_iter().map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A product along 40,000 is one kernel, unless the driver would end its loop.
#[test]
fn long_sums_are_cut_only_for_a_driver_that_ends_loops() {
    let launches = |options: Noop| {
        let device = noop(options);
        let [left, right] = [[1, 40_000], [40_000, 8]].map(|shape| Tensor::ones(&device, &shape).unwrap());
        device.sync().unwrap();
        let before = device.stats().dispatches;
        left.matmul(&right).unwrap().to_vec::<f32>().unwrap();
        device.stats().dispatches - before
    };
    assert!(launches(Noop::default()) > 1);
    assert_eq!(launches(Noop { name: "SwiftShader", ..Noop::default() }), 1);
    assert_eq!(launches(Noop { software: false, subgroup_size: 32, ..Noop::default() }), 1);
}
