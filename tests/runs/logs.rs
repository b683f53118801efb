//! Logs of numbers: the contents of the files, and the part of them that a resumed run finds.

use std::fs;
use std::path::{Path, PathBuf};
use wgrad::Error;
use wgrad::logs::{CsvLog, JsonLinesLog, Record};

fn row(epoch: u64, step: u64, scalars: &[(&str, f64)]) -> Record {
    Record { epoch, step, scalars: scalars.iter().map(|&(name, value)| (name.to_string(), value)).collect() }
}

/// Both kinds of logs behind one interface.
enum Log {
    Csv(CsvLog),
    Json(JsonLinesLog),
}

const KINDS: [&str; 2] = ["metrics.csv", "metrics.jsonl"];

impl Log {
    fn create(path: &Path) -> Log {
        match path.extension().unwrap().to_str() {
            Some("csv") => Log::Csv(CsvLog::create(path).unwrap()),
            _ => Log::Json(JsonLinesLog::create(path).unwrap()),
        }
    }

    fn resume(path: &Path, step: u64) -> Result<Log, Error> {
        Ok(match path.extension().unwrap().to_str() {
            Some("csv") => Log::Csv(CsvLog::resume(path, step)?),
            _ => Log::Json(JsonLinesLog::resume(path, step)?),
        })
    }

    fn write(&mut self, row: &Record) -> Result<(), Error> {
        match self {
            Log::Csv(log) => log.write(row),
            Log::Json(log) => log.write(row),
        }
    }

    fn read(path: &Path) -> Vec<Record> {
        match path.extension().unwrap().to_str() {
            Some("csv") => CsvLog::read(path).unwrap(),
            _ => JsonLinesLog::read(path).unwrap(),
        }
    }
}

fn each(check: impl Fn(PathBuf)) {
    let folder = tempfile::tempdir().unwrap();
    for name in KINDS {
        check(folder.path().join(name));
    }
}

/// Equal, with NaN equal to NaN.
fn assert_same(left: &[Record], right: &[Record]) {
    assert_eq!(format!("{left:?}"), format!("{right:?}"));
}

#[test]
fn rows_come_back_as_they_were() {
    each(|path| {
        let rows = [
            row(0, 10, &[("a", 0.1 + 0.2), ("b,\"quoted\"\nname", 1e-300)]),
            row(0, 20, &[("a", f64::NAN), ("b,\"quoted\"\nname", f64::INFINITY), ("c", f64::NEG_INFINITY)]),
            row(1, 30, &[("a", -0.0), ("c", f64::MAX)]),
        ];
        let mut log = Log::create(&path);
        rows.iter().for_each(|row| log.write(row).unwrap());
        assert_same(&Log::read(&path), &rows);
    });
}

#[test]
fn what_other_readers_take_for_numbers_is_written() {
    each(|path| {
        let mut log = Log::create(&path);
        log.write(&row(1, 2, &[("x", f64::NAN), ("y", f64::INFINITY), ("z", f64::NEG_INFINITY)])).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            match log {
                Log::Csv(_) => "epoch,step,x,y,z\n1,2,NaN,inf,-inf\n",
                Log::Json(_) => "{\"epoch\":1,\"step\":2,\"x\":\"NaN\",\"y\":\"Infinity\",\"z\":\"-Infinity\"}\n",
            }
        );
    });
}

#[test]
fn a_resumed_run_doubles_no_row() {
    each(|path| {
        let mut log = Log::create(&path);
        for step in 1..=5 {
            log.write(&row(0, step, &[("loss", 1.0 / step as f64)])).unwrap();
        }
        drop(log);
        let mut log = Log::resume(&path, 3).unwrap();
        log.write(&row(0, 4, &[("loss", 9.0), ("new", 1.0)])).unwrap();
        let rows = Log::read(&path);
        assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(rows[2].get("loss"), Some(1.0 / 3.0));
        assert_eq!((rows[3].get("loss"), rows[3].get("new")), (Some(9.0), Some(1.0)));
    });
}

#[test]
fn half_a_line_is_dropped_wherever_it_ends() {
    each(|path| {
        let mut log = Log::create(&path);
        log.write(&row(0, 1, &[("loss", 0.125)])).unwrap();
        let first = fs::read(&path).unwrap();
        log.write(&row(0, 2, &[("loss", 0.0625)])).unwrap();
        let both = fs::read(&path).unwrap();
        for end in first.len()..both.len() {
            fs::write(&path, &both[..end]).unwrap();
            let mut log = Log::resume(&path, 2).unwrap();
            log.write(&row(0, 2, &[("loss", 0.5)])).unwrap();
            let rows = Log::read(&path);
            assert_eq!(rows, [row(0, 1, &[("loss", 0.125)]), row(0, 2, &[("loss", 0.5)])], "cut at byte {end}");
        }
    });
}

#[test]
fn a_log_that_is_not_there_yet_begins_when_a_run_resumes() {
    each(|path| {
        let mut log = Log::resume(&path, 7).unwrap();
        log.write(&row(1, 8, &[("loss", 1.0)])).unwrap();
        assert_eq!(Log::read(&path), [row(1, 8, &[("loss", 1.0)])]);
    });
}

#[test]
fn foreign_files_and_doubled_names_are_refused() {
    each(|path| {
        let mut log = Log::create(&path);
        for names in [["loss", "loss"], ["step", "loss"], ["loss", "epoch"]] {
            let error = log.write(&row(0, 1, &names.map(|name| (name, 1.0)))).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
        log.write(&row(0, 1, &[("loss", 1.0)])).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        for (text, line) in [
            ("name,price\napple,3\n".to_string(), 1),
            (format!("{good}0,2,text\n"), good.lines().count() + 1),
            (format!("{good}0,2\n"), good.lines().count() + 1),
            (format!("{good}{{\"epoch\":0}}\n"), good.lines().count() + 1),
        ] {
            fs::write(&path, &text).unwrap();
            let error = Log::resume(&path, 9).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line} is no row")), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "a file that isn't understood is left alone");
        }
    });
}
