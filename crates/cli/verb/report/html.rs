//! Shows a page as one HTML file: style and pictures are in it, no script is, and nothing comes from elsewhere. The
//! template escapes all text; what is put in as it is are the pictures, which escape their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tera::{Context, Tera, TeraResult};

use super::page::Page;
use crate::picture::svg;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");

/// The page as HTML.
pub(super) fn html(page: &Page) -> TeraResult<String> {
    let mut context = Context::new();
    context.insert("page", page);
    let style = format!("{}{STYLE}{}", svg::PALETTE, svg::STYLE);
    // No other style is used, should one ever get in.
    let sum = STANDARD.encode(Sha256::digest(style.as_bytes()));
    context.insert("sum", &format!("sha256-{sum}"));
    context.insert("style", &style);
    Tera::one_off(TEMPLATE, &context, true)
}
