//! Large tensors: loading one takes little of the host's memory besides the device's copy.

use crate::allocations::peak;
#[cfg(target_os = "linux")]
use crate::common::alone;
use crate::common::python::is_long;
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use tempfile::TempDir;
use wgrad::nn::{self, Module, Scope};
use wgrad::weights::{self, LoadOptions};
use wgrad::{Device, DeviceOptions, Noop, Parameter, Result, Tensor};

/// Values that all types can hold.
fn value(at: usize) -> f32 {
    (at % 2048) as f32 - 1024.0
}

/// The bytes of values, from one to another.
fn bytes(dtype: Dtype, from: usize, to: usize) -> Vec<u8> {
    let values = (from..to).map(value);
    match dtype {
        Dtype::F16 => values.flat_map(|value| f16::from_f32(value).to_le_bytes()).collect(),
        Dtype::F64 => values.flat_map(|value| f64::from(value).to_le_bytes()).collect(),
        _ => values.flat_map(f32::to_le_bytes).collect(),
    }
}

/// Writes `weight` `[rows, columns]` piece by piece, as safetensors or as `torch.save` does.
fn write(path: &Path, dtype: Dtype, [rows, columns]: [usize; 2]) {
    let (count, size) = (rows * columns, dtype.bitsize() / 8);
    let mut file = BufWriter::new(File::create(path).unwrap());
    let is_pickled = path.extension().is_some_and(|extension| extension == "pth");
    let mut directory = Vec::new();
    if is_pickled {
        let pickle = pickle(dtype, [rows, columns]);
        directory.extend(member(&mut file, 0, "a/data.pkl", pickle.len()));
        file.write_all(&pickle).unwrap();
        directory.extend(member(&mut file, 40 + pickle.len(), "a/data/0", count * size));
    } else {
        // The header of a tensor of this shape, whose values follow.
        let empty = TensorView::new(dtype, vec![0, 0], &[]).unwrap();
        let header = safetensors::serialize([("weight", empty)], None).unwrap();
        let header = String::from_utf8(header[8..].to_vec()).unwrap();
        let header = header.trim_end().replace("[0,0],", &format!("[{rows},{columns}],"));
        let header = header.replace("[0,0]}", &format!("[0,{}]}}", count * size));
        file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        file.write_all(header.as_bytes()).unwrap();
    }
    for from in (0..count).step_by(1 << 16) {
        file.write_all(&bytes(dtype, from, count.min(from + (1 << 16)))).unwrap();
    }
    if is_pickled {
        let at = 40 + 38 + pickle(dtype, [rows, columns]).len() + count * size;
        file.write_all(&directory).unwrap();
        let mut end = b"PK\x05\x06\0\0\0\0\x02\0\x02\0".to_vec();
        end.extend((directory.len() as u32).to_le_bytes());
        end.extend((at as u32).to_le_bytes());
        end.extend([0; 2]);
        file.write_all(&end).unwrap();
    }
    file.flush().unwrap();
}

/// Writes the header of a stored member of a ZIP file, and returns its entry of the directory.
fn member(file: &mut impl Write, at: usize, name: &str, bytes: usize) -> Vec<u8> {
    let mut common = [20u16, 0, 0, 0, 0x21].map(u16::to_le_bytes).concat();
    common.extend([0, bytes as u32, bytes as u32].map(u32::to_le_bytes).concat());
    common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
    file.write_all(&[b"PK\x03\x04", &common[..], name.as_bytes()].concat()).unwrap();
    let mut entry = [b"PK\x01\x02\x14\0", &common[..], &[0; 10]].concat();
    entry.extend((at as u32).to_le_bytes());
    entry.extend(name.as_bytes());
    entry
}

/// `{"weight": torch._utils._rebuild_tensor_v2(("storage", torch.FloatStorage, "0", "cpu", count), 0, sizes, strides, ..)}`.
fn pickle(dtype: Dtype, [rows, columns]: [usize; 2]) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |number: usize| [b"J", &(number as u32).to_le_bytes()[..]].concat();
    let storage = match dtype {
        Dtype::F16 => "Half",
        Dtype::F64 => "Double",
        _ => "Float",
    };
    let class = format!("ctorch\n{storage}Storage\n");
    let parts: [&[u8]; 21] = [
        b"\x80\x02}",
        &text("weight"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &text("storage"),
        class.as_bytes(),
        &text("0"),
        &text("cpu"),
        &number(rows * columns),
        b"tQ",
        &number(0),
        b"(",
        &number(rows),
        &number(columns),
        b"t(",
        &number(columns),
        &number(1),
        b"t",
        b"\x89",
        b"ccollections\nOrderedDict\n)R",
        b"tR",
        b"s.",
    ];
    parts.concat()
}

struct Layer {
    weight: Parameter,
}

impl Module for Layer {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.linear(&self.weight.value(), None)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        nn::parameters![self; weight]
    }
}

/// Loads `[rows, columns]` from a file of a kind. `measure` returns the bytes of the host's memory that this took besides the
/// device's.
fn loading(
    device: &Device,
    (dtype, name): (Dtype, &str),
    [rows, columns]: [usize; 2],
    measure: impl Fn(&mut dyn FnMut()) -> usize,
    allowed: usize,
) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    write(&path, dtype, [rows, columns]);
    let layer =
        Layer { weight: Scope::new(device).parameter("weight", &Tensor::zeros(device, &[rows, columns]).unwrap()) };
    let mut load = || {
        weights::load(&path, &layer, &LoadOptions::default()).unwrap();
    };
    // A noop adapter makes a buffer by copying one. The third value finds the first one's buffer in the pool.
    load();
    load();
    let taken = measure(&mut load);
    let text = format!("{name} of {dtype:?} on {}: {taken} bytes", device.name());
    println!("{text}");
    assert!(taken <= allowed, "{text}");
    let ends = layer.weight.value().narrow(1, columns - 2, 2).unwrap().to_f64().unwrap();
    let expected = (1..=rows).flat_map(|row| [row * columns - 2, row * columns - 1]).map(|at| value(at).into());
    assert!(device.name() == "noop" || ends == expected.collect::<Vec<f64>>(), "{name} of {dtype:?}");
}

const FILES: [(Dtype, &str); 6] = [
    (Dtype::F32, "a.safetensors"),
    (Dtype::F16, "a.pth"),
    (Dtype::F64, "a.safetensors"),
    (Dtype::F32, "a.pth"),
    (Dtype::F16, "a.safetensors"),
    (Dtype::F64, "a.pth"),
];

fn noop() -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap()
}

/// The reference's values have twice as many bytes as f32.
#[test]
fn a_large_tensor_is_never_whole_in_memory() {
    const SIDE: usize = 2048;
    const ALLOWED: usize = 24 << 20;
    for file in &FILES[..if is_long() { 6 } else { 2 }] {
        loading(&noop(), *file, [SIDE; 2], |load| peak(load).0, ALLOWED);
        if is_long() {
            let of_device = SIDE * SIDE * size_of::<f64>();
            loading(&Device::reference(), *file, [SIDE; 2], |load| peak(load).0.saturating_sub(of_device), ALLOWED);
        }
    }
}

/// A number of `/proc/self/status`, in bytes.
#[cfg(target_os = "linux")]
fn resident(key: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() << 10
}

/// A process of its own, whose memory the system counts.
#[cfg(target_os = "linux")]
#[test]
fn a_file_of_400_mb_takes_less_than_100() {
    const COLUMNS: usize = 10_000;
    const ALONE: &str = "WGRAD_TEST_ALONE";
    if !is_long() {
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let mut command = alone(module_path!(), "a_file_of_400_mb_takes_less_than_100");
        assert!(command.env(ALONE, "1").status().unwrap().success());
        return;
    }
    let device = noop();
    let measure = |load: &mut dyn FnMut()| {
        let before = resident("VmRSS:");
        fs::write("/proc/self/clear_refs", "5").unwrap();
        load();
        resident("VmHWM:") - before
    };
    for file in FILES {
        device.empty_cache();
        let rows = 400_000_000 / COLUMNS / (file.0.bitsize() / 8);
        loading(&device, file, [rows, COLUMNS], measure, 100_000_000);
    }
}
