//! The table of all results.

use crate::modules::NEEDS;
use crate::results::{self, Row};
use crate::translate::stems;
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// Prints a row for each compiler and kind of adapter, the modules with each warning, the time for each network's training step,
/// then every failure.
/// A module without a result is a failure too.
pub fn print(results: &Path, modules: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(results)?.collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let (mut networks, mut warnings, mut failures) = (String::new(), String::new(), Vec::new());
    println!(
        "| compiler | adapter | modules | failures | warnings | median, s | longest, s | sum, s | longest module |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((compiler, kind)) = name.strip_suffix(".tsv").and_then(|name| name.split_once('@')) else { continue };
        let rows: BTreeMap<String, Row> =
            results::read(&file.path()).into_iter().map(|row| (row.stem.clone(), row)).collect();
        let folder = modules.join(kind);
        let all = stems(&folder)?;
        let outcome = |stem: &String| rows.get(stem).map_or("was not compiled", |row| row.outcome.as_str());
        let is_good = |stem: &String| rows.get(stem).is_some_and(|row| row.warnings().is_some());
        let failed: Vec<&String> = all.iter().filter(|stem| !is_good(stem)).collect();
        let codes: Vec<Vec<&str>> = rows.values().filter_map(|row| Some(row.warnings()?.collect())).collect();
        let mut modules_of: BTreeMap<&str, usize> = BTreeMap::new();
        for code in codes.iter().flatten() {
            *modules_of.entry(code).or_default() += 1;
        }
        for (code, modules) in modules_of {
            warnings.push_str(&format!("| {compiler} | {kind} | {code} | {modules} |\n"));
        }
        failures.extend(failed.iter().map(|stem| format!("{compiler}, {kind}: {stem}: {}", outcome(stem))));
        let mut seconds: Vec<f64> = rows.values().map(|row| row.seconds).collect();
        seconds.sort_by(f64::total_cmp);
        let longest = rows.values().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        println!(
            "| {compiler} | {kind} | {} | {} | {} | {:.3} | {:.2} | {:.0} | {} |",
            all.len(),
            failed.len(),
            codes.iter().filter(|codes| !codes.is_empty()).count(),
            seconds.get(seconds.len() / 2).unwrap_or(&0.0),
            seconds.last().unwrap_or(&0.0),
            seconds.iter().sum::<f64>(),
            longest.map_or("", |row| row.stem.as_str()),
        );
        networks.push_str(&of_networks(compiler, kind, &folder, &rows)?);
    }
    if !warnings.is_empty() {
        print!("\n| compiler | adapter | warning | modules |\n|---|---|---|---|\n{warnings}");
    }
    println!(
        "\n| network, training step | compiler | adapter | modules | longest, s | sum, s |\n|---|---|---|---|---|---|"
    );
    print!("{networks}");
    for failure in &failures {
        println!("\nFAILED {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn of_networks(compiler: &str, kind: &str, folder: &Path, rows: &BTreeMap<String, Row>) -> std::io::Result<String> {
    let needs = fs::read_to_string(folder.join(NEEDS))?;
    let mut order: Vec<&str> = Vec::new();
    let mut seconds: HashMap<&str, Vec<f64>> = HashMap::new();
    for (network, stem) in needs.lines().filter_map(|line| line.split_once('\t')) {
        if !order.contains(&network) {
            order.push(network);
        }
        seconds.entry(network).or_default().push(rows.get(stem).map_or(0.0, |row| row.seconds));
    }
    let line = |network: &&str| {
        let all = &seconds[network];
        let longest = all.iter().copied().fold(0.0, f64::max);
        let sum: f64 = all.iter().sum();
        format!("| {network} | {compiler} | {kind} | {} | {longest:.2} | {sum:.1} |\n", all.len())
    };
    Ok(order.iter().map(line).collect())
}
