//! What the fold makes of hand-written records.
