//! Owns how much work a template may ask for by mistake: how deep its loops are nested, and how far `range` counts.
//! It must not look at what is written out.

use tera::{Kwargs, State, Tera, TeraResult};

use crate::prompt::strict::tags;

/// How many loops may be open at once.
const LOOPS: usize = 3;

/// How many numbers `range` gives at most. To the power of [`LOOPS`], it is a moment.
const NUMBERS: i128 = 100;

/// A loop in too many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooDeep {
    /// The line of the first one, counted from 1.
    pub(super) line: u32,
    /// What is wrong, and what to do.
    pub(super) why: String,
}

/// The first loop of a template that is nested too deep, in a branch that is not taken too.
pub(super) fn too_deep(template: &str) -> Option<TooDeep> {
    let mut open = 0usize;
    tags(template).find_map(|tag| {
        match tag.first() {
            "for" => open += 1,
            "endfor" => open = open.saturating_sub(1),
            _ => {}
        }
        (open > LOOPS).then(|| TooDeep {
            line: tag.line_in(template),
            why: format!("a loop is in {LOOPS} others; nest at most {LOOPS} loops"),
        })
    })
}

/// Puts Turno's own `range` in place of Tera's, which gives 100,000 numbers.
pub(super) fn register(tera: &mut Tera) {
    tera.register_function("range", range);
}

/// The numbers from `start` (0 when it is left out) up to `end`, which is not among them, in steps of `step_by` (1).
fn range(kwargs: Kwargs, _: &State) -> TeraResult<Vec<i128>> {
    let start = kwargs.get::<i128>("start")?.unwrap_or_default();
    let end = kwargs.must_get::<i128>("end")?;
    let step = kwargs.get::<i128>("step_by")?.unwrap_or(1);
    let wrong = |why: String| Err(tera::Error::message(why));
    if step == 0 {
        return wrong("`range` has a `step_by` of 0; leave it out for steps of 1".to_owned());
    }
    if start > end && step > 0 {
        return wrong(format!(
            "`range` counts up from {start} to {end}; swap `start` and `end`"
        ));
    }
    let mut numbers = Vec::new();
    let mut next = Some(start);
    while let Some(number) = next.filter(|n| if step > 0 { *n < end } else { *n > end }) {
        if i128::try_from(numbers.len()).unwrap_or(NUMBERS) >= NUMBERS {
            return wrong(format!(
                "`range` counts from {start} to {end} in steps of {step}; it gives at most {NUMBERS} numbers"
            ));
        }
        numbers.push(number);
        next = number.checked_add(step);
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tera::Context;

    use super::*;

    fn rendered(template: &str) -> Result<String, String> {
        let mut tera = Tera::new();
        register(&mut tera);
        tera.add_raw_template("prompt", template).unwrap();
        let rendered = tera.render("prompt", &Context::new());
        rendered.map_err(|e| e.to_string())
    }

    #[rstest]
    #[case("{% for a in x %}{% for b in a %}{% for c in b %}{% endfor %}{% endfor %}{% endfor %}")]
    #[case(
        "{% for a in x %}{% endfor %}{% for a in x %}{% endfor %}{% for a in x %}{% endfor %}{% for a in x %}"
    )]
    #[case("{% raw %}{% for a in x %}{% for a in x %}{% for a in x %}{% for a in x %}{% endraw %}")]
    #[case("{# {% for a in x %}{% for a in x %}{% for a in x %}{% for a in x %} #}")]
    fn loops_may_be_nested(#[case] template: &str) {
        assert_eq!(too_deep(template), None);
    }

    #[rstest]
    #[case("{% for a in x %}\n{% for b in x %}\n{% for c in x %}\n{%- for d in x %}", 4)]
    #[case(
        "{% for a in x %}{% endfor %}{% for a in x %}{% for b in x %}{% for c in x %}{% if x %}\n{% for d in x %}",
        2
    )]
    fn a_loop_in_too_many_others_is_named(#[case] template: &str, #[case] line: u32) {
        assert_eq!(too_deep(template).unwrap().line, line);
    }

    #[rstest]
    #[case("range(end=3)", "0 1 2 ")]
    #[case("range(start=2, end=7, step_by=2)", "2 4 6 ")]
    #[case("range(start=3, end=0, step_by=-2)", "3 1 ")]
    #[case("range(start=0, end=3, step_by=-1)", "")]
    #[case("range(end=0)", "")]
    fn a_range_counts(#[case] range: &str, #[case] expected: &str) {
        let template = format!("{{% for n in {range} %}}{{{{ n }}}} {{% endfor %}}");
        assert_eq!(rendered(&template).unwrap(), expected);
    }

    #[rstest]
    #[case("range(end=101)", "at most 100 numbers")]
    #[case("range(end=100000)", "at most 100 numbers")]
    #[case("range(start=200, end=0, step_by=-1)", "at most 100 numbers")]
    #[case("range(start=2, end=1)", "swap")]
    #[case("range(end=1, step_by=0)", "`step_by` of 0")]
    fn a_range_has_an_end(#[case] range: &str, #[case] why: &str) {
        let said = rendered(&format!("{{% for n in {range} %}}{{% endfor %}}")).unwrap_err();
        assert!(said.contains(why), "{said}");
    }

    #[test]
    fn as_many_numbers_as_there_may_be() {
        assert_eq!(rendered("{{ range(end=100) | length }}").unwrap(), "100");
    }
}
