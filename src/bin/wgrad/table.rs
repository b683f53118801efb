//! Tables of text.

use std::fmt;

/// Rows of cells, the first of which are titles. Columns of numbers are aligned right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(titles: &[&str]) -> Table {
        Table { rows: vec![titles.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row of as many cells as there are titles.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn is_numeric(&self, column: usize) -> bool {
        let numeric = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || " .,%-".contains(c));
        self.rows.len() > 1 && self.rows[1..].iter().all(|row| numeric(&row[column]))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = 0..self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let shape: Vec<(usize, bool)> = columns.map(|column| (width(column), self.is_numeric(column))).collect();
        for (at, row) in self.rows.iter().enumerate() {
            let pad = |(cell, &(width, numeric)): (&String, &(usize, bool))| match numeric {
                true => format!("{cell:>width$}"),
                false => format!("{cell:width$}"),
            };
            let line = row.iter().zip(&shape).map(pad).collect::<Vec<_>>().join("  ");
            write!(f, "{}{}", if at == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}
