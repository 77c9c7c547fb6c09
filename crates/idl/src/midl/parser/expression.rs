//! Expressions, with C's operators and their precedence.

use super::{Parsed, Parser};
use crate::diag::Diagnostic;
use crate::midl::ast::{Expr, ExprKind};
use crate::midl::lexer::Token;
use crate::model::ndr::{BinaryOp, UnaryOp};
use crate::preprocess::expression;

// req: idl-bounded
/// The most operators in a row.
const OPERATORS: u32 = 128;

impl Parser<'_> {
    /// An expression without a comma.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.nested(|it| {
            let start = it.at;
            let condition = it.binary(1)?;
            if !it.eat(Token::Question) {
                return Ok(condition);
            }
            let yes = it.expression()?;
            it.expect(Token::Colon, "`:` of `?:`")?;
            let no = it.expression()?;
            let kind = ExprKind::Conditional(Box::new(condition), Box::new(yes), Box::new(no));
            Ok(it.spanned(start, kind))
        })
    }

    fn spanned(&self, start: usize, kind: ExprKind) -> Expr {
        Expr {
            kind,
            span: self.span_from(start),
        }
    }

    fn binary(&mut self, tightest: u8) -> Parsed<Expr> {
        let start = self.at;
        let mut left = self.unary()?;
        let mut operators = 0;
        while let Some((operator, binding)) = binary_operator(self.token()) {
            if binding < tightest {
                break;
            }
            self.count(&mut operators)?;
            self.bump();
            let right = self.nested(|it| it.binary(binding + 1))?;
            let kind = ExprKind::Binary(operator, Box::new(left), Box::new(right));
            left = self.spanned(start, kind);
        }
        Ok(left)
    }

    /// Counts one more operator in a row: each is a level of the tree.
    fn count(&mut self, operators: &mut u32) -> Parsed<()> {
        *operators += 1;
        if *operators <= OPERATORS {
            return Ok(());
        }
        let message = format!("over {OPERATORS} operators in a row");
        Err(self.fail(Diagnostic::error("E0205", self.span(), message)))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.at;
        let token = self.token();
        let operator = match token {
            Token::Minus => Some(UnaryOp::Minus),
            Token::Tilde => Some(UnaryOp::Not),
            Token::Exclamation => Some(UnaryOp::LogicalNot),
            Token::Plus | Token::Star | Token::And => None,
            Token::OpenParen if self.is_cast() => return self.cast(),
            _ => return self.postfix(),
        };
        self.bump();
        let operand = self.nested(Self::unary)?;
        let operand = Box::new(operand);
        let kind = match (operator, token) {
            (Some(operator), _) => ExprKind::Unary(operator, operand),
            (None, Token::Star) => ExprKind::Deref(operand),
            (None, Token::And) => ExprKind::Address(operand),
            (None, _) => return Ok(*operand),
        };
        Ok(self.spanned(start, kind))
    }

    /// Whether the parenthesis in front of us holds a type: one that begins with a type's keyword, or a name
    /// behind whose parenthesis an operand stands.
    fn is_cast(&self) -> bool {
        if self.begins_keyword_type(self.at + 1) {
            return true;
        }
        let mut at = self.at + 1;
        if self.token_at(at) != Token::Word {
            return false;
        }
        at += 1;
        while self.token_at(at) == Token::Star {
            at += 1;
        }
        if self.token_at(at) != Token::CloseParen {
            return false;
        }
        // `(x *)` can be nothing else.
        if self.token_at(at - 1) == Token::Star {
            return true;
        }
        let known = self.is_known_type(self.word_at(self.at + 1));
        let next = self.token_at(at + 1);
        if known && matches!(next, Token::Minus | Token::Plus | Token::Star | Token::And) {
            return true;
        }
        matches!(
            self.token_at(at + 1),
            Token::Word
                | Token::Number
                | Token::Float
                | Token::Text
                | Token::Character
                | Token::OpenParen
                | Token::Tilde
                | Token::Exclamation
        )
    }

    fn cast(&mut self) -> Parsed<Expr> {
        let start = self.at;
        self.bump();
        let ty = self.nested(Self::type_name)?;
        self.expect(Token::CloseParen, "`)` behind the type")?;
        let operand = self.nested(Self::unary)?;
        let kind = ExprKind::Cast(Box::new(ty), Box::new(operand));
        Ok(self.spanned(start, kind))
    }

    fn postfix(&mut self) -> Parsed<Expr> {
        let start = self.at;
        let mut value = self.primary()?;
        let mut operators = 0;
        loop {
            if matches!(self.token(), Token::Dot | Token::Arrow | Token::OpenBracket) {
                self.count(&mut operators)?;
            }
            let kind = match self.token() {
                Token::Dot => {
                    self.bump();
                    ExprKind::Member(Box::new(value), self.name("a field")?)
                }
                Token::Arrow => {
                    self.bump();
                    ExprKind::Arrow(Box::new(value), self.name("a field")?)
                }
                Token::OpenBracket => {
                    self.bump();
                    let index = self.expression()?;
                    self.expect(Token::CloseBracket, "`]` behind the index")?;
                    ExprKind::Index(Box::new(value), Box::new(index))
                }
                _ => return Ok(value),
            };
            value = self.spanned(start, kind);
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let start = self.at;
        let kind = match self.token() {
            Token::Number => self.number()?,
            Token::Float => self.float()?,
            Token::Text => ExprKind::Text(self.text_run()),
            Token::WideText => ExprKind::WideText(self.text_run()),
            Token::Character => self.character()?,
            Token::OpenParen => return self.parenthesis(),
            Token::OpenBrace => self.list()?,
            Token::Word if self.word() == "sizeof" => self.size_of()?,
            Token::Word if self.token_at(self.at + 1) == Token::OpenParen => self.call()?,
            Token::Word => {
                let name = self.text().to_owned();
                self.bump();
                ExprKind::Name(name)
            }
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(self.spanned(start, kind))
    }

    fn number(&mut self) -> Parsed<ExprKind> {
        let text = self.text();
        let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
        let digits = digits
            .strip_suffix("i64")
            .or_else(|| digits.strip_suffix("ui64"))
            .unwrap_or(digits);
        let digits = digits.trim_end_matches(['u', 'U']);
        let Some(value) = expression::unsigned(digits).filter(|it| *it <= i128::from(u64::MAX))
        else {
            let shown: String = text.chars().take(40).collect();
            let message = format!("`{shown}` is not a number");
            let error = Diagnostic::error("E0204", self.span(), message);
            let error = error.hint("write 10, 012 (octal) or 0x0a, within 64 bits");
            return Err(self.fail(error));
        };
        self.bump();
        Ok(ExprKind::Integer(value))
    }

    fn float(&mut self) -> Parsed<ExprKind> {
        let text = self.text().trim_end_matches(['f', 'F', 'l', 'L']);
        match text.parse::<f64>() {
            Ok(value) => {
                self.bump();
                Ok(ExprKind::Float(value))
            }
            Err(_) => Err(self.unexpected("a number")),
        }
    }

    /// Strings beside each other are one.
    fn text_run(&mut self) -> String {
        let mut out = String::new();
        while matches!(self.token(), Token::Text | Token::WideText) {
            out.push_str(&unquoted(self.text()));
            self.bump();
        }
        out
    }

    fn character(&mut self) -> Parsed<ExprKind> {
        let text = unquoted(self.text());
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(c), None) => {
                self.bump();
                Ok(ExprKind::Integer(i128::from(u32::from(c))))
            }
            _ => Err(self.unexpected("one character")),
        }
    }

    fn parenthesis(&mut self) -> Parsed<Expr> {
        self.bump();
        let inner = self.expression()?;
        self.expect(Token::CloseParen, "`)`")?;
        Ok(inner)
    }

    fn list(&mut self) -> Parsed<ExprKind> {
        self.bump();
        while !self.eat(Token::CloseBrace) {
            self.expression()?;
            if !self.eat(Token::Comma) && self.token() != Token::CloseBrace {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        Ok(ExprKind::List)
    }

    fn size_of(&mut self) -> Parsed<ExprKind> {
        self.bump();
        let is_type = self.token() == Token::OpenParen
            && (self.begins_keyword_type(self.at + 1)
                || self.token_at(self.at + 1) == Token::Word
                    && matches!(self.token_at(self.at + 2), Token::CloseParen | Token::Star));
        if !is_type {
            self.nested(Self::unary)?;
            return Ok(ExprKind::SizeOf);
        }
        self.bump();
        let ty = self.nested(Self::type_name)?;
        self.expect(Token::CloseParen, "`)` behind the type")?;
        Ok(ExprKind::SizeOfType(Box::new(ty)))
    }

    fn call(&mut self) -> Parsed<ExprKind> {
        let name = self.name("a function")?;
        self.bump();
        let mut arguments = Vec::new();
        while !self.eat(Token::CloseParen) {
            arguments.push(self.expression()?);
            if !self.eat(Token::Comma) && self.token() != Token::CloseParen {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(ExprKind::Call(name, arguments))
    }
}

/// The operator and how tightly it binds.
fn binary_operator(token: Token) -> Option<(BinaryOp, u8)> {
    use BinaryOp::*;
    let found = match token {
        Token::OrOr => (LogicalOr, 1),
        Token::AndAnd => (LogicalAnd, 2),
        Token::Or => (Or, 3),
        Token::Caret => (Xor, 4),
        Token::And => (And, 5),
        Token::Equal => (Equal, 6),
        Token::NotEqual => (NotEqual, 6),
        Token::Less => (Less, 7),
        Token::Greater => (Greater, 7),
        Token::LessEqual => (LessEqual, 7),
        Token::GreaterEqual => (GreaterEqual, 7),
        Token::ShiftLeft => (ShiftLeft, 8),
        Token::ShiftRight => (ShiftRight, 8),
        Token::Plus => (Add, 9),
        Token::Minus => (Subtract, 9),
        Token::Star => (Multiply, 10),
        Token::Slash => (Divide, 10),
        Token::Percent => (Remainder, 10),
        _ => return None,
    };
    Some(found)
}

/// What a literal says, without its quotes and with its escapes replaced.
pub(in crate::midl) fn unquoted(literal: &str) -> String {
    let inner = literal.strip_prefix('L').unwrap_or(literal);
    let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or("");
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('a') => out.push('\x07'),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('v') => out.push('\x0b'),
            Some('x') => out.push(coded(&mut rest, String::new(), 16, 4)),
            Some(c) if c.is_digit(8) => out.push(coded(&mut rest, c.to_string(), 8, 3)),
            Some(c) => out.push(c),
            None => {}
        }
    }
    out
}

/// The character with the number whose digits follow.
fn coded(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    mut digits: String,
    radix: u32,
    most: usize,
) -> char {
    while digits.len() < most
        && let Some(c) = rest.next_if(|c| c.is_digit(radix))
    {
        digits.push(c);
    }
    let code = u32::from_str_radix(&digits, radix).unwrap_or(0);
    char::from_u32(code).unwrap_or('\u{fffd}')
}
