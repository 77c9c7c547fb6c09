//! Declarators, fields and parameters.

use super::{Parsed, Parser};
use crate::midl::ast::{
    Attributes, Bound, Declaration, Declarator, Dimension, Modifier, Name, REST, Specifier,
};
use crate::midl::lexer::Token;

impl Parser<'_> {
    /// Attributes between a type and its declarator, which pidl's macros and some authors put there.
    pub(super) fn attributes_behind_type(&mut self) -> Parsed<Attributes> {
        let is_attribute = self.token() == Token::OpenBracket
            && self.token_at(self.at + 1) == Token::Word
            && matches!(
                self.token_at(self.at + 2),
                Token::CloseBracket | Token::Comma | Token::OpenParen
            )
            && matches!(
                self.word_at(self.at + 1),
                "unique" | "ref" | "ptr" | "string" | "size_is" | "in" | "out"
            );
        match is_attribute {
            true => self.attributes(),
            false => Ok(Attributes::new()),
        }
    }

    /// A field of a struct with its semicolon.
    pub(super) fn field(&mut self) -> Parsed<Declaration> {
        let start = self.at;
        let attributes = self.attributes()?;
        self.member_behind(start, attributes, "the field")
    }

    // req: idl-midl-unnamed
    /// What follows the attributes of a field or an arm. A struct or union without a name gets one.
    pub(super) fn member_behind(
        &mut self,
        start: usize,
        mut attributes: Attributes,
        of: &str,
    ) -> Parsed<Declaration> {
        let place = self.at;
        let specifier = self.specifier()?;
        attributes.extend(self.attributes_behind_type()?);
        let is_body = match &specifier {
            Specifier::Struct(it) => it.body.is_some(),
            Specifier::Union(it) => it.body.is_some(),
            _ => false,
        };
        if !(is_body && self.token() == Token::Semicolon) {
            return self.declarators(start, attributes, specifier, of);
        }
        let declarator = self.unnamed(place);
        self.bump();
        Ok(Declaration {
            attributes,
            specifier,
            declarators: vec![declarator],
            docs: self.docs_around(start),
        })
    }

    /// The declarator of what has no name, and began at `start`.
    fn unnamed(&mut self, start: usize) -> Declarator {
        self.unnamed += 1;
        let text = match self.unnamed {
            1 => "unnamed".to_owned(),
            n => format!("unnamed{n}"),
        };
        let span = self.span_at(start);
        Declarator {
            attributes: Attributes::new(),
            modifiers: Vec::new(),
            bits: None,
            name: Some(Name { text, span }),
            span,
        }
    }

    /// What follows the attributes that began at `start`: a type, declarators and a semicolon.
    pub(super) fn declaration_behind(
        &mut self,
        start: usize,
        mut attributes: Attributes,
        of: &str,
    ) -> Parsed<Declaration> {
        let specifier = self.specifier()?;
        attributes.extend(self.attributes_behind_type()?);
        self.declarators(start, attributes, specifier, of)
    }

    /// The declarators behind a type, and the semicolon.
    fn declarators(
        &mut self,
        start: usize,
        attributes: Attributes,
        specifier: Specifier,
        of: &str,
    ) -> Parsed<Declaration> {
        let mut declarators = vec![self.member(of)?];
        while self.eat(Token::Comma) {
            declarators.push(self.member(of)?);
        }
        self.expect_semicolon(of)?;
        Ok(Declaration {
            attributes,
            specifier,
            declarators,
            docs: self.docs_around(start),
        })
    }

    /// A declarator with what C has behind it: the width of a bit field, the parameters of a function.
    fn member(&mut self, of: &str) -> Parsed<Declarator> {
        let mut declarator = match self.token() {
            Token::Colon => self.unnamed(self.at),
            _ => self.declarator(of)?,
        };
        let start = self.at;
        if self.eat(Token::Colon) {
            self.expression()?;
            declarator.bits = Some(self.span_from(start));
        } else if self.eat(Token::OpenParen) {
            if !self.skip_closed(Token::OpenParen, Token::CloseParen) {
                return Err(self.unexpected("`)` behind the parameters"));
            }
            declarator.modifiers.insert(0, Modifier::Function);
        }
        Ok(declarator)
    }

    /// A parameter, whose name may be left out.
    pub(super) fn parameter(&mut self) -> Parsed<Declaration> {
        let start = self.at;
        let mut attributes = self.attributes()?;
        let specifier = self.specifier()?;
        attributes.extend(self.attributes_behind_type()?);
        let declarator = self.any_declarator()?;
        Ok(Declaration {
            attributes,
            specifier,
            declarators: vec![declarator],
            docs: self.docs_around(start),
        })
    }

    /// A declarator with a name.
    pub(super) fn declarator(&mut self, of: &str) -> Parsed<Declarator> {
        let declarator = self.any_declarator()?;
        match declarator.name {
            Some(_) => Ok(declarator),
            None => Err(self.unexpected(&format!("the name of {of}"))),
        }
    }

    fn any_declarator(&mut self) -> Parsed<Declarator> {
        let start = self.at;
        let mut name = None;
        let modifiers = self.modifiers(&mut name)?;
        Ok(Declarator {
            attributes: Attributes::new(),
            modifiers,
            bits: None,
            name,
            span: self.span_from(start),
        })
    }

    /// A declarator without a name.
    pub(super) fn abstract_declarator(&mut self) -> Parsed<Vec<Modifier>> {
        let mut name = None;
        let modifiers = self.modifiers(&mut name)?;
        match name {
            None => Ok(modifiers),
            Some(_) => {
                self.at = self.at.saturating_sub(1);
                Err(self.unexpected("no name"))
            }
        }
    }

    /// Pointers, a name or a declarator in parentheses, and what is behind it.
    fn modifiers(&mut self, name: &mut Option<Name>) -> Parsed<Vec<Modifier>> {
        self.nested(|it| {
            it.qualifiers();
            if it.token() == Token::Star {
                it.bump();
                let mut outer = it.modifiers(name)?;
                outer.push(Modifier::Pointer);
                return Ok(outer);
            }
            let mut modifiers = Vec::new();
            let inner = it.token() == Token::OpenParen
                && (matches!(it.token_at(it.at + 1), Token::Star | Token::OpenParen)
                    || it.token_at(it.at + 1) == Token::Word
                        && matches!(
                            it.token_at(it.at + 2),
                            Token::Star | Token::CloseParen | Token::OpenBracket
                        ));
            if inner {
                it.bump();
                modifiers = it.modifiers(name)?;
                it.expect(Token::CloseParen, "`)` of the declarator")?;
            } else if it.token() == Token::Word {
                *name = Some(it.name("what is declared")?);
            }
            it.suffixes(&mut modifiers, inner)?;
            Ok(modifiers)
        })
    }

    /// Brackets of an array, or the parameters of a function behind a declarator in parentheses.
    fn suffixes(&mut self, modifiers: &mut Vec<Modifier>, inner: bool) -> Parsed<()> {
        while self.token() == Token::OpenBracket {
            modifiers.push(Modifier::Array(self.dimension()?));
        }
        if inner && self.token() == Token::OpenParen {
            self.bump();
            self.skip_closed(Token::OpenParen, Token::CloseParen);
            modifiers.push(Modifier::Function);
        }
        Ok(())
    }

    fn dimension(&mut self) -> Parsed<Dimension> {
        self.bump();
        let first = self.bound()?;
        let range = self.eat(Token::Range);
        let (lower, upper) = match range {
            true => (first, self.bound()?),
            false => (Bound::Open, first),
        };
        self.expect(Token::CloseBracket, "`]` behind the size")?;
        Ok(Dimension {
            lower,
            upper,
            range,
        })
    }

    fn bound(&mut self) -> Parsed<Bound> {
        let star = self.token() == Token::Star
            && matches!(
                self.token_at(self.at + 1),
                Token::CloseBracket | Token::Range
            );
        if star {
            self.bump();
        }
        match star || matches!(self.token(), Token::CloseBracket | Token::Range) {
            true => Ok(Bound::Open),
            false => Ok(Bound::Known(self.expression()?)),
        }
    }

    /// The parameters of an operation, parentheses included.
    pub(super) fn parameters(&mut self) -> Parsed<Vec<Declaration>> {
        self.expect(Token::OpenParen, "`(` and the parameters")?;
        let mut parameters = Vec::new();
        let empty = self.word() == "void" && self.token_at(self.at + 1) == Token::CloseParen;
        if empty {
            self.bump();
        }
        while !self.eat(Token::CloseParen) {
            parameters.push(match self.token() {
                Token::Ellipsis => self.rest_of_arguments()?,
                _ => self.parameter()?,
            });
            if !self.eat(Token::Comma) && self.token() != Token::CloseParen {
                return Err(self.unexpected("`,` or `)` behind the parameter"));
            }
        }
        Ok(parameters)
    }

    /// `...`: arguments of any types, which only a local function has.
    fn rest_of_arguments(&mut self) -> Parsed<Declaration> {
        let start = self.at;
        self.expect(Token::Ellipsis, "`...`")?;
        let span = self.span_from(start);
        let name = Name {
            text: REST.to_owned(),
            span,
        };
        let declarator = Declarator {
            name: Some(name.clone()),
            modifiers: Vec::new(),
            bits: None,
            attributes: Attributes::new(),
            span,
        };
        Ok(Declaration {
            attributes: Attributes::new(),
            specifier: Specifier::Named(name),
            declarators: vec![declarator],
            docs: String::new(),
        })
    }

    /// Whether the type says everything: `struct x { … };`.
    pub(super) fn is_tagged(specifier: &Specifier) -> bool {
        matches!(
            specifier,
            Specifier::Enum(_) | Specifier::Bitmap(_) | Specifier::Struct(_) | Specifier::Union(_)
        )
    }
}
