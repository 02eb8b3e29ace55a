//! One file for each story, or each family of them.

mod attacks;
mod bad_input;
mod big_project;
mod bridge;
mod coordinator;
mod ends;
mod examples;
mod full_disk;
mod guards;
mod injections;
mod limits;
mod lying;
mod modes;
mod new_tests;
mod questions;
mod real_agents;
mod real_agents_more;
mod real_team;
mod repos;
mod safety;
mod secrets;
mod shift;
mod tampering;
mod tools;
