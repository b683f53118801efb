//! What every tensor can do besides operations: devices are opened and tuned, values made and read, operators, printing.

mod create;
mod open;
mod operators;
mod print;
mod read;
mod tune;
