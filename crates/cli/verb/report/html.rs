//! Shows a page as one HTML file: style and pictures are in it, no script is, and nothing comes from elsewhere. The
//! template escapes all text; what is put in as it is are the pictures, which escape their own.

use tera::{Context, Tera, TeraResult};

use super::page::Page;
use crate::picture::svg;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");

/// The page as HTML.
pub(super) fn html(page: &Page) -> TeraResult<String> {
    let mut context = Context::new();
    context.insert("page", page);
    context.insert("style", &format!("{}{STYLE}{}", svg::PALETTE, svg::STYLE));
    Tera::one_off(TEMPLATE, &context, true)
}
