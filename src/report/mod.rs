//! Curves and matrices as pictures, and a page about a run.
