//! What every tensor can do besides operations: devices are opened, values made and read, operators, printing.

mod create;
mod open;
mod operators;
mod print;
mod read;
