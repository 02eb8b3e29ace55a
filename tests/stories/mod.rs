//! One file for each story, or each family of them.

mod bad_input;
mod big_project;
mod coordinator;
mod ends;
mod examples;
mod lying;
mod real_agents;
mod safety;
mod shift;
