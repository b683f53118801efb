//! Lists the adapters of this machine, best first: `cargo run --release --example adapters`.

use wgrad::{AdapterInfo, Device};

fn main() {
    let adapters = Device::adapters();
    if adapters.is_empty() {
        println!("no adapter: install a Vulkan driver (Debian: mesa-vulkan-drivers), or use Device::reference()");
        return;
    }
    type Column = (&'static str, fn(&AdapterInfo) -> String);
    let columns: [Column; 11] = [
        ("adapter", |a| a.name.clone()),
        ("kind", |a| a.kind.to_string()),
        ("backend", |a| a.backend.to_string()),
        ("driver", |a| a.driver.clone()),
        ("buffer MiB", |a| (a.max_buffer_bytes >> 20).to_string()),
        ("binding MiB", |a| (a.max_binding_bytes >> 20).to_string()),
        ("workgroup", |a| a.max_workgroup_invocations.to_string()),
        ("shared KiB", |a| (a.max_workgroup_bytes >> 10).to_string()),
        ("subgroup", |a| {
            let (least, most) = a.subgroup_size;
            if !a.subgroups {
                "-".to_string()
            } else if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            }
        }),
        ("f16", |a| yes(a.f16)),
        ("timestamps, cooperative matrices", |a| format!("{}, {}", yes(a.timestamps), yes(a.cooperative_matrices))),
    ];
    let table: Vec<Vec<String>> = std::iter::once(columns.iter().map(|(title, _)| title.to_string()).collect())
        .chain(adapters.iter().map(|adapter| columns.iter().map(|(_, cell)| cell(adapter)).collect()))
        .collect();
    let widths: Vec<usize> =
        (0..columns.len()).map(|c| table.iter().map(|row| row[c].chars().count()).max().unwrap_or(0)).collect();
    for row in &table {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "-" }.to_string()
}
