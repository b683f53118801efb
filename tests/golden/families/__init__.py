"""The families of operations: each module lists functions that fill a case file."""
