//! Types without their declarators.

use super::{Parsed, Parser};
use crate::diag::Diagnostic;
use crate::midl::ast::{
    Arm, Basic, EnumMember, EnumSpecifier, Specifier, StructSpecifier, TypeName, UnionSpecifier,
};
use crate::midl::lexer::Token;
use crate::model::ndr::Base;

/// Words between and behind types that mean something to C only.
const QUALIFIERS: [&str; 38] = [
    "const",
    "volatile",
    "__const",
    "__volatile",
    "__unaligned",
    "unaligned",
    "__restrict",
    "__RPC_FAR",
    "RPC_FAR",
    "far",
    "_far",
    "__far",
    "FAR",
    "near",
    "_near",
    "__near",
    "NEAR",
    "__huge",
    "__stdcall",
    "_stdcall",
    "stdcall",
    "__cdecl",
    "_cdecl",
    "cdecl",
    "__pascal",
    "_pascal",
    "pascal",
    "__fastcall",
    "_fastcall",
    "STDMETHODCALLTYPE",
    "WINAPI",
    "CALLBACK",
    "extern",
    "static",
    "register",
    "inline",
    "__RPC_USER",
    "__RPC_STUB",
];

impl Parser<'_> {
    /// Takes words that mean something to C only; one in front of the end of a declarator is a name.
    pub(super) fn qualifiers(&mut self) {
        while QUALIFIERS.contains(&self.word())
            && matches!(
                self.token_at(self.at + 1),
                Token::Word | Token::Star | Token::OpenParen | Token::OpenBracket
            )
        {
            self.bump();
        }
    }

    /// Whether a type that begins with a keyword stands there.
    pub(super) fn begins_keyword_type(&self, at: usize) -> bool {
        let word = self.word_at(at);
        let is_type = matches!(
            word,
            "unsigned"
                | "signed"
                | "long"
                | "short"
                | "small"
                | "hyper"
                | "int"
                | "char"
                | "byte"
                | "boolean"
                | "void"
                | "float"
                | "double"
                | "wchar_t"
                | "struct"
                | "union"
                | "enum"
                | "const"
                | "__int8"
                | "__int16"
                | "__int32"
                | "__int64"
                | "__int3264"
                | "error_status_t"
                | "handle_t"
        );
        is_type && self.token_at(at + 1) != Token::OpenParen
    }

    /// A type with an abstract declarator.
    pub(super) fn type_name(&mut self) -> Parsed<TypeName> {
        let start = self.at;
        let mut attributes = self.attributes()?;
        let specifier = self.specifier()?;
        attributes.extend(self.attributes_behind_type()?);
        let modifiers = self.abstract_declarator()?;
        Ok(TypeName {
            attributes,
            specifier,
            modifiers,
            span: self.span_from(start),
        })
    }

    /// A type.
    pub(super) fn specifier(&mut self) -> Parsed<Specifier> {
        self.qualifiers();
        let start = self.at;
        let specifier = match self.word() {
            "struct" => self.nested(Self::structure),
            "union" => self.nested(Self::union),
            "enum" | "bitmap" if self.begins_body() => self.enumeration(),
            "pipe" if self.token_at(self.at + 1) != Token::Semicolon => self.pipe(),
            "interface" | "dispinterface" | "coclass" => {
                self.bump();
                Ok(Specifier::Named(self.name("the interface")?))
            }
            "SAFEARRAY" if self.token_at(self.at + 1) == Token::OpenParen => self.safe_array(),
            "" => Err(self.unexpected("a type")),
            _ => match self.basic() {
                Some(basic) => Ok(Specifier::Basic(basic, self.span_from(start))),
                None => {
                    self.pidl |= matches!(
                        self.word(),
                        "uint8" | "uint16" | "uint32" | "DATA_BLOB" | "WERROR"
                    ) && !self.types.contains(self.word());
                    Ok(Specifier::Named(self.name("a type")?))
                }
            },
        }?;
        self.qualifiers();
        Ok(specifier)
    }

    /// Whether `enum` or `bitmap` is one: a name, a body or an attribute follows.
    fn begins_body(&self) -> bool {
        matches!(
            self.token_at(self.at + 1),
            Token::Word | Token::OpenBrace | Token::OpenBracket
        )
    }

    /// Keywords such as `unsigned long int`, in any sensible order.
    fn basic(&mut self) -> Option<Basic> {
        if let Some(single) = single(self.word()) {
            self.bump();
            return Some(single);
        }
        let mut words = Words::default();
        while words.take(self.word()) {
            self.bump();
            self.qualifiers();
        }
        words.base().map(Basic::Scalar)
    }

    fn pipe(&mut self) -> Parsed<Specifier> {
        self.bump();
        let element = self.nested(|it| {
            let start = it.at;
            let attributes = it.attributes()?;
            let specifier = it.specifier()?;
            Ok(TypeName {
                attributes,
                specifier,
                modifiers: Vec::new(),
                span: it.span_from(start),
            })
        })?;
        Ok(Specifier::Pipe(Box::new(element)))
    }

    fn safe_array(&mut self) -> Parsed<Specifier> {
        let start = self.at;
        self.bump();
        self.bump();
        let element = self.nested(Self::type_name)?;
        self.expect(Token::CloseParen, "`)` of SAFEARRAY")?;
        let element = Box::new(element);
        Ok(Specifier::SafeArray(element, self.span_from(start)))
    }

    fn enumeration(&mut self) -> Parsed<Specifier> {
        let start = self.at;
        let bitmap = self.eat_word("bitmap");
        if bitmap {
            self.pidl = true;
        } else {
            self.bump();
        }
        let of = if bitmap { "the bitmap" } else { "the enum" };
        let attributes = self.attributes()?;
        let tag = match self.token() {
            Token::Word => Some(self.name(of)?),
            _ => None,
        };
        let body = match self.token() {
            Token::OpenBrace => Some(self.enum_members(of)?),
            _ => None,
        };
        let it = Box::new(EnumSpecifier {
            attributes,
            tag,
            body,
            span: self.span_from(start),
        });
        Ok(if bitmap {
            Specifier::Bitmap(it)
        } else {
            Specifier::Enum(it)
        })
    }

    fn enum_members(&mut self, of: &str) -> Parsed<Vec<EnumMember>> {
        self.bump();
        let mut members: Vec<EnumMember> = Vec::new();
        while !self.eat(Token::CloseBrace) {
            let start = self.at;
            self.attributes()?;
            let name = self.name(&format!("a value of {of}"))?;
            let value = match self.eat(Token::Equals) {
                true => Some(self.expression()?),
                false => None,
            };
            let comma = self.eat(Token::Comma);
            if !comma && self.token() != Token::CloseBrace {
                return Err(self.unexpected(&format!("`,` or `}}` behind a value of {of}")));
            }
            let docs = self.docs_around(start);
            members.push(EnumMember { name, value, docs });
        }
        Ok(members)
    }

    fn structure(&mut self) -> Parsed<Specifier> {
        let start = self.at;
        self.bump();
        let attributes = self.attributes()?;
        let tag = match self.token() {
            Token::Word => Some(self.name("the struct")?),
            _ => None,
        };
        let body = match self.token() {
            Token::OpenBrace => Some(self.members("the struct", Self::field)?),
            _ if tag.is_some() => None,
            _ => return Err(self.unexpected("the name or `{` of the struct")),
        };
        Ok(Specifier::Struct(Box::new(StructSpecifier {
            attributes,
            tag,
            body,
            span: self.span_from(start),
        })))
    }

    /// `{`, members that end themselves, `}`.
    fn members<T>(&mut self, of: &str, member: fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let outer = std::mem::take(&mut self.unnamed);
        let members = self.members_inside(of, member);
        self.unnamed = outer;
        members
    }

    fn members_inside<T>(
        &mut self,
        of: &str,
        member: fn(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let open = self.span();
        self.bump();
        let mut members = Vec::new();
        while !self.eat(Token::CloseBrace) {
            if self.token() == Token::End || self.gave_up() {
                let message = format!("expected `}}` behind {of}, found {}", self.found());
                let error = Diagnostic::error("E0201", self.span(), message);
                return Err(self.fail(error.label(open, "the body begins here")));
            }
            if self.eat(Token::Semicolon) {
                continue;
            }
            match member(self) {
                Ok(it) => members.push(it),
                Err(_) => self.skip_statement(),
            }
        }
        Ok(members)
    }

    fn union(&mut self) -> Parsed<Specifier> {
        let start = self.at;
        self.bump();
        let attributes = self.attributes()?;
        let tag = match self.word() {
            "" | "switch" => None,
            _ => Some(self.name("the union")?),
        };
        let switch = match self.eat_word("switch") {
            true => Some(self.union_switch()?),
            false => None,
        };
        let body = match self.token() {
            Token::OpenBrace => Some(self.members("the union", Self::arm)?),
            _ if tag.is_some() && switch.is_none() => None,
            _ => return Err(self.unexpected("the name or `{` of the union")),
        };
        Ok(Specifier::Union(Box::new(UnionSpecifier {
            attributes,
            tag,
            switch,
            body,
            span: self.span_from(start),
        })))
    }

    fn union_switch(
        &mut self,
    ) -> Parsed<(
        TypeName,
        crate::midl::ast::Name,
        Option<crate::midl::ast::Name>,
    )> {
        self.expect(Token::OpenParen, "`(` behind `switch`")?;
        let start = self.at;
        let attributes = self.attributes()?;
        let specifier = self.specifier()?;
        let ty = TypeName {
            attributes,
            specifier,
            modifiers: Vec::new(),
            span: self.span_from(start),
        };
        let name = self.name("the discriminant")?;
        self.expect(Token::CloseParen, "`)` behind the discriminant")?;
        let member = match self.token() {
            Token::Word => Some(self.name("the union's member")?),
            _ => None,
        };
        Ok((ty, name, member))
    }

    /// `case a: case b: declaration;` or `[case(a, b)] declaration;`
    fn arm(&mut self) -> Parsed<Arm> {
        let start = self.at;
        let mut cases = Vec::new();
        let mut default = false;
        loop {
            match self.word() {
                "case" if self.token_at(self.at + 1) != Token::Colon => {
                    self.bump();
                    cases.push(self.case_value()?);
                    self.expect(Token::Colon, "`:` behind the case")?;
                }
                "default" if self.token_at(self.at + 1) == Token::Colon => {
                    self.bump();
                    self.bump();
                    default = true;
                }
                _ => break,
            }
        }
        let labelled = default || !cases.is_empty();
        let attributes = self.attributes()?;
        for attribute in &attributes {
            match attribute.name.text.as_str() {
                "case" => cases.extend(attribute.arguments.iter().flatten().cloned()),
                "default" => default = true,
                _ => {}
            }
        }
        let empty = self.token() == Token::Semicolon
            || labelled && self.token() == Token::CloseBrace
            || self.word() == "void" && self.token_at(self.at + 1) == Token::Semicolon;
        let declaration = match empty {
            true => {
                self.eat_word("void");
                self.eat(Token::Semicolon);
                None
            }
            false => Some(self.member_behind(start, attributes, "the arm")?),
        };
        Ok(Arm {
            cases,
            default,
            declaration,
            span: self.span_from(start),
        })
    }

    /// The value of a case: what is in front of `:` is not the middle of `?:`.
    fn case_value(&mut self) -> Parsed<crate::midl::ast::Expr> {
        self.expression()
    }
}

/// Types of one word.
fn single(word: &str) -> Option<Basic> {
    let base = match word {
        "void" => return Some(Basic::Void),
        "handle_t" => return Some(Basic::HandleT),
        "boolean" => Base::Boolean,
        "byte" => Base::Byte,
        "float" => Base::Float,
        "double" => Base::Double,
        "wchar_t" => Base::WChar,
        "error_status_t" => Base::ErrorStatus,
        _ => return None,
    };
    Some(Basic::Scalar(base))
}

/// The words of an integer type so far.
#[derive(Default)]
struct Words {
    signed: Option<bool>,
    longs: u8,
    int: bool,
    other: Option<&'static str>,
}

impl Words {
    /// Whether the word belongs to the type.
    fn take(&mut self, word: &str) -> bool {
        let alone = self.longs == 0 && self.other.is_none() && !self.int;
        match word {
            "unsigned" if self.signed.is_none() => self.signed = Some(false),
            "signed" if self.signed.is_none() => self.signed = Some(true),
            "long" if self.longs < 2 && self.other.is_none() => self.longs += 1,
            "int" if !self.int && !matches!(self.other, Some("char" | "double")) => self.int = true,
            "double" if self.longs == 1 && !self.int => self.other = Some("double"),
            "char" if alone => self.other = Some("char"),
            "small" if alone => self.other = Some("small"),
            "short" if self.longs == 0 && self.other.is_none() => self.other = Some("short"),
            "hyper" if alone => self.other = Some("hyper"),
            "__int8" if alone => self.other = Some("small"),
            "__int16" if alone => self.other = Some("short"),
            "__int32" if alone => self.longs = 1,
            "__int64" if alone => self.other = Some("hyper"),
            "__int3264" if alone => self.other = Some("3264"),
            _ => return false,
        }
        true
    }

    fn base(&self) -> Option<Base> {
        let signed = self.signed != Some(false);
        let pick = |yes, no| if signed { yes } else { no };
        let base = match (self.other, self.longs) {
            (Some("char"), _) if self.signed == Some(true) => Base::Small,
            (Some("char"), _) if self.signed == Some(false) => Base::USmall,
            (Some("char"), _) => Base::Char,
            (Some("small"), _) => pick(Base::Small, Base::USmall),
            (Some("short"), _) => pick(Base::Short, Base::UShort),
            (Some("hyper"), _) | (None, 2) => pick(Base::Hyper, Base::UHyper),
            (Some("3264"), _) => pick(Base::Int3264, Base::UInt3264),
            (Some("double"), _) => Base::Double,
            (None, 1) => pick(Base::Long, Base::ULong),
            _ if self.int || self.signed.is_some() => pick(Base::Long, Base::ULong),
            _ => return None,
        };
        Some(base)
    }
}
