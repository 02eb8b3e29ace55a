//! Owns templates that a person writes for a batch: a few texts filled in. It knows nothing of personas.

use tera::{Context, Tera};

/// A template of a person's own.
#[derive(Debug)]
pub struct Template;

impl Template {
    /// Fills values in. The values are data: what looks like a template in them stays as it is.
    ///
    /// # Errors
    /// In words, when it is no template or names what is not there.
    pub fn fill(template: &str, values: &[(&str, &str)]) -> Result<String, String> {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&str>::new());
        let mut context = Context::new();
        for (name, value) in values {
            context.insert((*name).to_owned(), value);
        }
        let say = |e: &tera::Error| {
            let report = e.to_string();
            let first = report.lines().next().unwrap_or_default();
            let known: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
            format!(
                "{}; there are {}",
                first.trim_start_matches("error: "),
                known.join(", ")
            )
        };
        tera.add_raw_template("batch", template).map_err(|e| say(&e))?;
        tera.render("batch", &context).map_err(|e| say(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn values_are_filled_in_as_they_are() {
        let filled = Template::fill(
            "port {{ item }} & {{ number }}",
            &[("item", "{{ x }}<b>"), ("number", "3")],
        );
        assert_eq!(filled.unwrap(), "port {{ x }}<b> & 3");
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_those_there_are() {
        let why = Template::fill("{{ itme }}", &[("item", "a"), ("number", "3")]).unwrap_err();
        assert!(why.contains("itme") && why.contains("item, number"), "{why}");
    }
}
