//! Methods of every tensor besides operations: opening and tuning devices, making and reading values, operators, printing.

mod create;
mod open;
mod operators;
mod print;
mod read;
mod tune;
