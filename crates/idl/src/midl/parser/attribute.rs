//! Attributes: `[name, name(…)]`.

use super::{Parsed, Parser};
use crate::midl::ast::{Attribute, Attributes, Find as _};
use crate::midl::attributes::{Arguments, arguments, is_pidl};
use crate::midl::lexer::Token;

impl Parser<'_> {
    /// All lists of attributes that stand here, and `const` between them.
    pub(in crate::midl) fn attributes(&mut self) -> Parsed<Attributes> {
        let mut found = Attributes::new();
        loop {
            let is_const =
                self.word() == "const" && self.token_at(self.at + 1) == Token::OpenBracket;
            if is_const {
                self.bump();
            }
            if self.token() != Token::OpenBracket {
                break;
            }
            self.attribute_list(&mut found)?;
        }
        // What says how calls with a context handle run says that it is one.
        let says = |it: &&Attribute| {
            matches!(
                it.name.text.as_str(),
                "context_handle_serialize" | "context_handle_noserialize"
            )
        };
        if let Some(says) = found.iter().find(says)
            && !found.has("context_handle")
        {
            let mut handle = says.clone();
            "context_handle".clone_into(&mut handle.name.text);
            found.push(handle);
        }
        Ok(found)
    }

    fn attribute_list(&mut self, found: &mut Attributes) -> Parsed<()> {
        self.bump();
        while !self.eat(Token::CloseBracket) {
            // A macro may have left nothing in front of its comma.
            if self.eat(Token::Comma) {
                continue;
            }
            found.push(self.attribute()?);
            if !self.eat(Token::Comma) && self.token() != Token::CloseBracket {
                return Err(self.unexpected("`,` or `]` behind the attribute"));
            }
        }
        Ok(())
    }

    fn attribute(&mut self) -> Parsed<Attribute> {
        let start = self.at;
        let name = self.name("an attribute")?;
        self.pidl |= is_pidl(&name.text);
        let mut it = Attribute {
            raw: String::new(),
            called: false,
            arguments: Vec::new(),
            ty: None,
            span: name.span,
            name,
        };
        if self.eat(Token::OpenParen) {
            it.called = true;
            let inner = self.at;
            match arguments(&it.name.text) {
                Arguments::Expressions => self.attribute_expressions(&mut it)?,
                Arguments::Type => {
                    it.ty = Some(Box::new(self.nested(Self::type_name)?));
                    it.raw = self.raw_from(inner).to_owned();
                    self.expect(Token::CloseParen, "`)` behind the type")?;
                }
                Arguments::Raw => {
                    if !self.skip_closed(Token::OpenParen, Token::CloseParen) {
                        return Err(self.unexpected("`)` of the attribute"));
                    }
                    let raw = self.raw_from(inner);
                    raw.strip_suffix(')')
                        .unwrap_or(raw)
                        .trim()
                        .clone_into(&mut it.raw);
                }
            }
        }
        it.span = self.span_from(start);
        Ok(it)
    }

    /// Expressions with commas between them, any of which may be left out.
    fn attribute_expressions(&mut self, it: &mut Attribute) -> Parsed<()> {
        let inner = self.at;
        loop {
            let empty = matches!(self.token(), Token::Comma | Token::CloseParen);
            let argument = match empty {
                true => None,
                false => Some(self.expression()?),
            };
            it.arguments.push(argument);
            if !self.eat(Token::Comma) {
                break;
            }
        }
        it.raw = self.raw_from(inner).to_owned();
        self.expect(Token::CloseParen, "`)` or an operator in the attribute")
    }
}
