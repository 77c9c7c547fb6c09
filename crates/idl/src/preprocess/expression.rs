//! Integer expressions, as in `#if` lines and in macros that stand for numbers.
//!
//! Everything is computed in 128 bits and every overflow is an error. Both sides of `&&`, `||`
//! and `?:` are computed; names have been replaced before, so a name that is left is 0 or, if
//! so asked, an error.

use super::scan::{PieceKind, Scan};

/// How deep parentheses and signs may be nested.
const DEPTH: u32 = 64;

/// The operators with two operands and how tightly they bind, longest first.
const BINARY: [(&str, u8); 18] = [
    ("<<", 8),
    (">>", 8),
    ("<=", 7),
    (">=", 7),
    ("==", 6),
    ("!=", 6),
    ("&&", 2),
    ("||", 1),
    ("<", 7),
    (">", 7),
    ("&", 5),
    ("^", 4),
    ("|", 3),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("%", 10),
];

/// What a name means that no macro replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// 0, as in `#if`.
    Zero,
    /// Nothing: the text is not an expression.
    Refused,
}

/// The value of an expression, or what is wrong with it.
pub(crate) fn evaluate(text: &str, names: Names) -> Result<i128, String> {
    let mut parser = Parser {
        rest: text.trim(),
        names,
        depth: 0,
    };
    let value = parser.ternary()?;
    match parser.rest.chars().next() {
        None => Ok(value),
        Some(c) => Err(format!("unexpected {c:?} in expression")),
    }
}

/// The value of a C integer literal, suffixes included.
fn literal(text: &str) -> Option<i128> {
    let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
    unsigned(digits)
}

/// The value of a decimal, octal (`0`) or hexadecimal (`0x`) number.
pub(crate) fn unsigned(digits: &str) -> Option<i128> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if let Some(hex) = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        return if hex.starts_with(['+', '-']) {
            None
        } else {
            i128::from_str_radix(hex, 16).ok()
        };
    }
    let octal = digits.len() > 1 && digits.starts_with('0');
    i128::from_str_radix(digits, if octal { 8 } else { 10 }).ok()
}

struct Parser<'t> {
    rest: &'t str,
    names: Names,
    depth: u32,
}

impl Parser<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn ternary(&mut self) -> Result<i128, String> {
        let condition = self.binary(1)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let yes = self.deeper(Self::ternary)?;
        if !self.eat(":") {
            return Err("expected ':' in expression".into());
        }
        let no = self.deeper(Self::ternary)?;
        Ok(if condition != 0 { yes } else { no })
    }

    fn binary(&mut self, tightest: u8) -> Result<i128, String> {
        let mut left = self.unary()?;
        while let Some((operator, binding)) = self.operator() {
            if binding < tightest {
                break;
            }
            self.eat(operator);
            let right = self.binary(binding + 1)?;
            left = apply(operator, left, right)?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        BINARY
            .into_iter()
            .find(|(operator, _)| self.rest.starts_with(operator))
    }

    fn unary(&mut self) -> Result<i128, String> {
        if self.eat("!") {
            return Ok(i128::from(self.deeper(Self::unary)? == 0));
        }
        if self.eat("~") {
            return Ok(!self.deeper(Self::unary)?);
        }
        if self.eat("-") {
            let value = self.deeper(Self::unary)?;
            return value.checked_neg().ok_or_else(overflow);
        }
        if self.eat("+") {
            return self.deeper(Self::unary);
        }
        if self.eat("(") {
            let value = self.deeper(Self::ternary)?;
            return if self.eat(")") {
                Ok(value)
            } else {
                Err("expected ')' in expression".into())
            };
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<i128, String> {
        let Some(piece) = Scan::part(self.rest).next() else {
            return Err("expected a number, found the end of the expression".into());
        };
        let text = self.rest.get(piece.range.clone()).unwrap_or("");
        let value = match piece.kind {
            PieceKind::Number => {
                literal(text).ok_or_else(|| format!("{text:?} is not a number"))?
            }
            PieceKind::Word if self.names == Names::Zero => 0,
            _ => return Err(format!("expected a number, found {text:?}")),
        };
        self.rest = self.rest.get(piece.range.end..).unwrap_or("").trim_start();
        Ok(value)
    }

    fn deeper(&mut self, part: fn(&mut Self) -> Result<i128, String>) -> Result<i128, String> {
        if self.depth == DEPTH {
            return Err(format!("expression is nested deeper than {DEPTH} levels"));
        }
        self.depth += 1;
        let value = part(self);
        self.depth -= 1;
        value
    }
}

fn overflow() -> String {
    "expression overflows".into()
}

fn apply(operator: &str, a: i128, b: i128) -> Result<i128, String> {
    let shift = || {
        u32::try_from(b)
            .ok()
            .filter(|by| *by < 64)
            .ok_or_else(overflow)
    };
    let value = match operator {
        "<<" => a.checked_mul(1_i128 << shift()?),
        ">>" => Some(a >> shift()?),
        "<=" => Some(i128::from(a <= b)),
        ">=" => Some(i128::from(a >= b)),
        "==" => Some(i128::from(a == b)),
        "!=" => Some(i128::from(a != b)),
        "&&" => Some(i128::from(a != 0 && b != 0)),
        "||" => Some(i128::from(a != 0 || b != 0)),
        "<" => Some(i128::from(a < b)),
        ">" => Some(i128::from(a > b)),
        "&" => Some(a & b),
        "^" => Some(a ^ b),
        "|" => Some(a | b),
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        _ if b == 0 => return Err("expression divides by zero".into()),
        "/" => a.checked_div(b),
        _ => a.checked_rem(b),
    };
    value.ok_or_else(overflow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_as_in_c() {
        let cases = [
            ("1 + 2 * 3", 7),
            ("(1 + 2) * 3", 9),
            ("1 << 4 | 1", 17),
            ("0x10 == 020 && 16u == 16UL", 1),
            ("!defined_nowhere", 1),
            ("-1 < 0 ? 10 : 20", 10),
            ("10 - 3 - 2", 5),
            ("~0 & 0xff", 255),
            ("7 % 4 ^ 1", 2),
            ("0 ? 1 : 0 ? 2 : 3", 3),
        ];
        for (text, value) in cases {
            assert_eq!(evaluate(text, Names::Zero), Ok(value), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_expression() {
        for text in [
            "",
            "1 +",
            "(1",
            "1 2",
            "1 / 0",
            "99999999999999999999999999999999999999999",
        ] {
            assert!(evaluate(text, Names::Zero).is_err(), "{text}");
        }
        assert!(evaluate("FOO", Names::Refused).is_err());
        assert!(evaluate(&"(".repeat(100_000), Names::Zero).is_err());
        assert!(evaluate(&"-".repeat(100_000), Names::Zero).is_err());
        assert!(evaluate("1 << 200", Names::Zero).is_err());
    }
}
