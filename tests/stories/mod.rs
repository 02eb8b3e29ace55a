//! One file for each story, or each family of them.

mod real_agents;
mod ends;
mod shift;
