//! One file for each story, or each family of them.

mod shift;
