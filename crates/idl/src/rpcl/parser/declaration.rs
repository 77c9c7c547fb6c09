//! Types, declarations, and the bodies of enums, structs and unions.

use super::{Failed, Parsed, Parser};
use crate::diag::Diagnostic;
use crate::model::Type;
use crate::rpcl::ast::{Arm, Declaration, EnumMember, Name, Shape, Specifier, UnionBody};
use crate::rpcl::lexer::Token;

const TYPEDEF: &str = "first: typedef ... inner; then use inner";
const STRING: &str = "write string name<>, or name<max>";
const OPAQUE: &str = "write opaque name[n] for a fixed, name<max> or name<> for a variable length";

/// Whether a declaration declares a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    Required,
    Optional,
    /// A result: what follows is the procedure's name.
    Forbidden,
}

impl Parser<'_> {
    // req: rpcl-4506-6.3-declarations
    /// A declaration without the semicolon.
    pub(super) fn declaration(&mut self, naming: Naming, of: &str) -> Parsed<Declaration> {
        let start = self.at;
        let (specifier, tag) = self.specifier()?;
        let pointer = self.eat(Token::Star);
        let void = matches!(specifier, Specifier::Basic(Type::Void));
        if void && !pointer && naming == Naming::Required && self.token() == Token::Word {
            return Err(self.misplaced(start, "`void` cannot have a name"));
        }
        let name = match naming {
            _ if void && !pointer => None,
            Naming::Required => Some(self.name(of)?),
            Naming::Optional if self.token() == Token::Word => Some(self.name(of)?),
            Naming::Optional | Naming::Forbidden => None,
        };
        let suffix = self.suffix()?;
        let shape = self.shape(&specifier, pointer, suffix, naming, start)?;
        let (span, docs) = (self.span_from(start), self.docs_before(start));
        Ok(Declaration {
            specifier,
            shape,
            name,
            tag,
            docs,
            span,
        })
    }

    /// `[n]`, `<n>`, `<>` or nothing.
    fn suffix(&mut self) -> Parsed<Shape> {
        if self.eat(Token::OpenBracket) {
            let length = self.value("the number of elements")?;
            self.expect(Token::CloseBracket, "`]`")?;
            return Ok(Shape::Fixed(length));
        }
        if !self.eat(Token::Less) {
            return Ok(Shape::Plain);
        }
        if self.eat(Token::Greater) {
            return Ok(Shape::Variable(None));
        }
        let bound = self.value("the largest number of elements, or `>`")?;
        self.expect(Token::Greater, "`>`")?;
        Ok(Shape::Variable(Some(bound)))
    }

    /// Checks that specifier, pointer and suffix go together.
    fn shape(
        &mut self,
        specifier: &Specifier,
        pointer: bool,
        suffix: Shape,
        naming: Naming,
        start: usize,
    ) -> Parsed<Shape> {
        let twice = matches!(self.token(), Token::OpenBracket | Token::Less);
        let plain = matches!(suffix, Shape::Plain);
        let wrong = match (specifier, &suffix) {
            _ if twice => Some((
                "an array of arrays needs a name for the inner array",
                TYPEDEF,
            )),
            (Specifier::Opaque, Shape::Plain) => Some(("`opaque` needs a length", OPAQUE)),
            _ if pointer && !plain => {
                Some(("an array of pointers needs a name for the pointer", TYPEDEF))
            }
            (Specifier::String, Shape::Fixed(_)) => Some(("`string` has no fixed length", STRING)),
            (Specifier::String, Shape::Plain) if naming == Naming::Required && !pointer => {
                Some(("`string` needs a bound", STRING))
            }
            (Specifier::Basic(Type::Void), _) if pointer => {
                Some(("`void` cannot be pointed to", OPAQUE))
            }
            _ => None,
        };
        if let Some((message, hint)) = wrong {
            let error = Diagnostic::error("E0206", self.span_from(start), message).hint(hint);
            return Err(self.fail(error));
        }
        let unbounded = matches!((specifier, &suffix), (Specifier::String, Shape::Plain));
        Ok(match () {
            () if pointer => Shape::Pointer,
            () if unbounded => Shape::Variable(None),
            () => suffix,
        })
    }

    /// A type; for `struct x { ... }` also its name.
    fn specifier(&mut self) -> Parsed<(Specifier, Option<Name>)> {
        let token = self.token();
        let basic = match token {
            Token::Word => return Ok((self.word_specifier()?, None)),
            Token::Unsigned => {
                self.bump();
                self.unsigned()
            }
            Token::Enum | Token::Struct | Token::Union => return self.tagged(),
            Token::Opaque => return self.one(Specifier::Opaque),
            Token::String => return self.one(Specifier::String),
            Token::Int => Type::Int,
            Token::Hyper => Type::Hyper,
            Token::Float => Type::Float,
            Token::Double => Type::Double,
            Token::Quadruple => Type::Quadruple,
            Token::Bool => Type::Bool,
            Token::Void => Type::Void,
            _ => return Err(self.unexpected("a type")),
        };
        if token == Token::Unsigned {
            return Ok((Specifier::Basic(basic), None));
        }
        self.one(Specifier::Basic(basic))
    }

    fn one(&mut self, specifier: Specifier) -> Parsed<(Specifier, Option<Name>)> {
        self.bump();
        Ok((specifier, None))
    }

    /// What follows `unsigned`, if anything.
    fn unsigned(&mut self) -> Type {
        if self.eat(Token::Hyper) {
            return Type::UHyper;
        }
        if self.eat_word("char") {
            return Type::Small {
                bits: 8,
                signed: false,
            };
        }
        if self.eat_word("short") {
            self.eat(Token::Int);
            return Type::Small {
                bits: 16,
                signed: false,
            };
        }
        let long = self.eat_word("long");
        if long && self.eat_word("long") {
            self.eat(Token::Int);
            return Type::UHyper;
        }
        self.eat(Token::Int);
        Type::UInt
    }

    /// C's names for integers, which are not reserved, or the name of a type.
    fn word_specifier(&mut self) -> Parsed<Specifier> {
        let ty = match self.text_at(self.at) {
            "char" => Type::Small {
                bits: 8,
                signed: true,
            },
            "short" => Type::Small {
                bits: 16,
                signed: true,
            },
            "long" => Type::Int,
            _ => return Ok(Specifier::Named(self.name("a type")?)),
        };
        let long = ty == Type::Int;
        self.bump();
        let hyper = long && self.eat_word("long");
        if ty
            != (Type::Small {
                bits: 8,
                signed: true,
            })
        {
            self.eat(Token::Int);
        }
        Ok(Specifier::Basic(if hyper { Type::Hyper } else { ty }))
    }

    /// `enum`, `struct` or `union`, with a name, a body, or both.
    fn tagged(&mut self) -> Parsed<(Specifier, Option<Name>)> {
        let keyword = self.token();
        self.bump();
        let tag = match self.token() {
            Token::OpenBrace | Token::Switch => None,
            _ => Some(self.name("a type")?),
        };
        let has_body = matches!(self.token(), Token::OpenBrace | Token::Switch);
        match tag {
            Some(name) if !has_body => Ok((Specifier::Named(name), None)),
            tag => Ok((self.nested(|it| it.type_body(keyword))?, tag)),
        }
    }

    /// The body of an enum, struct or union.
    pub(super) fn type_body(&mut self, keyword: Token) -> Parsed<Specifier> {
        match keyword {
            Token::Enum => Ok(Specifier::Enum(self.enum_body()?)),
            Token::Struct => Ok(Specifier::Struct(self.body("the struct", Self::member)?)),
            _ => Ok(Specifier::Union(Box::new(self.union_body()?))),
        }
    }

    fn member(&mut self) -> Parsed<Declaration> {
        let start = self.at;
        let mut declaration = self.declaration(Naming::Required, "a member")?;
        self.expect_semicolon("the member")?;
        declaration.docs = self.docs_around(start);
        Ok(declaration)
    }

    fn enum_body(&mut self) -> Parsed<Vec<EnumMember>> {
        self.body("the enum", |it| {
            let start = it.at;
            let name = it.name("a value")?;
            let value = match it.eat(Token::Equals) {
                true => Some(it.value("the value's number")?),
                false => None,
            };
            if !it.eat(Token::Comma) && it.token() != Token::CloseBrace {
                return Err(it.unexpected("`,` or `}` behind the value"));
            }
            Ok(EnumMember {
                name,
                value,
                docs: it.docs_around(start),
            })
        })
    }

    fn union_body(&mut self) -> Parsed<UnionBody> {
        self.expect(Token::Switch, "`switch` and the discriminant")?;
        self.expect(Token::OpenParen, "`(`")?;
        let discriminant = self.declaration(Naming::Required, "the discriminant")?;
        self.expect(Token::CloseParen, "`)` behind the discriminant")?;
        let all = self.body("the union", Self::arm)?;
        let (defaults, arms) = all.into_iter().partition(|arm| arm.cases.is_empty());
        Ok(UnionBody {
            discriminant,
            arms,
            defaults,
        })
    }

    fn arm(&mut self) -> Parsed<Arm> {
        let start = self.at;
        let mut cases = Vec::new();
        let mut default = false;
        while !default || self.token() == Token::Case {
            if self.eat(Token::Default) {
                default = true;
            } else if self.eat(Token::Case) {
                cases.push(self.value("the case's value")?);
            } else if cases.is_empty() {
                return Err(self.unexpected("`case`, `default` or `}`"));
            } else {
                break;
            }
            self.expect(Token::Colon, "`:`")?;
        }
        if default && !cases.is_empty() {
            let error = Diagnostic::error(
                "E0207",
                self.span_from(start),
                "an arm is either for cases or the default",
            );
            return Err(self.fail(error.hint("leave out the cases: the default covers them")));
        }
        let declaration = self.declaration(Naming::Required, "the arm's value")?;
        self.expect_semicolon("the arm")?;
        let (docs, span) = (self.docs_around(start), self.span_from(start));
        Ok(Arm {
            cases,
            declaration,
            docs,
            span,
        })
    }

    /// Reports that what was parsed from `start` on is not allowed there.
    pub(super) fn misplaced(&mut self, start: usize, message: &str) -> Failed {
        let error = Diagnostic::error("E0405", self.span_from(start), message);
        self.fail(error)
    }
}
