//! Owns how people write a number of tokens.

use std::fmt;
use std::str::FromStr;

use crate::ids::InvalidId;

/// A number of tokens. Written by people as `500000`, `500k` or `2M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount(pub u64);

impl fmt::Display for TokenCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            n if n % 1_000_000 == 0 => write!(f, "{}M", n / 1_000_000),
            n if n % 1000 == 0 => write!(f, "{}k", n / 1000),
            n => write!(f, "{n}"),
        }
    }
}

impl FromStr for TokenCount {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.to_owned(),
            kind: "number of tokens",
            rule: "a whole number is expected, like 500000, 500k or 2M",
        };
        let (number, factor) = match text.strip_suffix(['k', 'K']) {
            Some(number) => (number, 1000),
            None => text
                .strip_suffix(['m', 'M'])
                .map_or((text, 1), |number| (number, 1_000_000)),
        };
        if !number.chars().all(|c| c.is_ascii_digit()) {
            return Err(invalid());
        }
        let number: u64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Self).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("500", 500)]
    #[case("500k", 500_000)]
    #[case("2M", 2_000_000)]
    fn tokens_survive_a_round_trip(#[case] text: &str, #[case] n: u64) {
        assert_eq!(text.parse(), Ok(TokenCount(n)));
        assert_eq!(TokenCount(n).to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("k")]
    #[case("1.5M")]
    #[case("-1")]
    #[case("99999999999999999999M")]
    fn what_is_no_number_of_tokens_is_refused(#[case] text: &str) {
        assert!(text.parse::<TokenCount>().is_err());
    }
}
