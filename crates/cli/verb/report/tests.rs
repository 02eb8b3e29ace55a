//! What a page looks like in each form.
