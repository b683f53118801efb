//! Files of weights, and networks by name.
