//! Stories through the shipped binary.
