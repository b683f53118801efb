//! A profile as tables.

use super::{Profile, ProfileRow};
use std::fmt;
use std::time::Duration;

/// Rows of one table; the rest are added up in one row.
const MOST_ROWS: usize = 30;

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = self.device_time();
        let clock = if self.by_timestamps { "by timestamps" } else { "on the host, one by one" };
        write!(f, "{} kernels timed {clock}: ", self.events.len())?;
        writeln!(f, "{} on the device in {} on the host", time(device), time(self.wall))?;
        if let Some(peak) = self.peak_flops {
            writeln!(f, "peak: {:.1} GFLOP/s of f32 multiply-adds, measured", peak / 1e9)?;
        }
        for (title, rows) in [("kernel", self.by_kernel()), ("operation", self.by_op()), ("line", self.by_line())] {
            table(f, title, &rows)?;
        }
        Ok(())
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, rows: &[ProfileRow]) -> fmt::Result {
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let width = shown.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(title.len());
    writeln!(
        f,
        "\n{title:width$}  {:>6}  {:>10}  {:>10}  {:>6}  {:>9}  {:>7}",
        "count", "total", "mean", "share", "GFLOP/s", "of peak"
    )?;
    for row in shown {
        let flops = row.flops().map_or("-".to_string(), |flops| format!("{:.2}", flops / 1e9));
        let of_peak = row.share_of_peak.map_or("-".to_string(), |share| format!("{:.1} %", 100.0 * share));
        writeln!(
            f,
            "{:width$}  {:>6}  {:>10}  {:>10}  {:>6}  {flops:>9}  {of_peak:>7}",
            row.name,
            row.count,
            time(row.total),
            time(row.mean()),
            format!("{:.1} %", 100.0 * row.share),
        )?;
    }
    let rest = &rows[shown.len()..];
    if !rest.is_empty() {
        let total: Duration = rest.iter().map(|row| row.total).sum();
        writeln!(f, "{} more, {}", rest.len(), time(total))?;
    }
    Ok(())
}

/// Three decimals of the unit that suits a kernel.
fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.3} s") } else { format!("{:.3} ms", 1e3 * seconds) }
}
