//! The same for what a person's verb does while nobody coordinates.
