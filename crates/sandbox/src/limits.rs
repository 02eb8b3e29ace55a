//! Owns what an attempt may use of the machine, and by which means the kernel holds it to that.
