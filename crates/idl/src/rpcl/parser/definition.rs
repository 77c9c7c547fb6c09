//! Definitions: constants, types, programs.

use super::declaration::Naming;
use super::{Parsed, Parser};
use crate::diag::Diagnostic;
use crate::rpcl::ast::{
    Body, Declaration, Definition, File, Procedure, Program, Shape, Specifier, Version,
};
use crate::rpcl::lexer::Token;

impl Parser<'_> {
    /// One definition, added to the file.
    pub(super) fn definition(&mut self, file: &mut File) -> Parsed<()> {
        let start = self.at;
        match self.token() {
            Token::Semicolon => self.bump(),
            Token::Const => file.definitions.extend(self.constant(start)?),
            Token::Typedef => file.definitions.push(self.typedef(start)?),
            Token::Enum | Token::Struct | Token::Union => {
                file.definitions.push(self.type_definition(start)?);
            }
            Token::Program => file.programs.push(self.program(start)?),
            _ => return Err(self.unexpected("a definition")),
        }
        Ok(())
    }

    /// A constant; none if it is a text, which rpcgen passes to C.
    fn constant(&mut self, start: usize) -> Parsed<Option<Definition>> {
        self.bump();
        let name = self.name("a constant")?;
        self.expect(Token::Equals, "`=`")?;
        if self.eat(Token::Text) {
            let message = format!(
                "`{}` is a text, which no protocol uses: left out",
                name.text
            );
            self.diagnostics
                .push(Diagnostic::warning("W0208", name.span, message));
            self.expect_semicolon("the constant")?;
            return Ok(None);
        }
        let value = self.value("the constant's value")?;
        self.expect_semicolon("the constant")?;
        let (body, docs) = (Body::Const(value), self.docs_around(start));
        Ok(Some(Definition { name, body, docs }))
    }

    fn type_definition(&mut self, start: usize) -> Parsed<Definition> {
        let keyword = self.token();
        self.bump();
        let name = self.name("a type")?;
        let specifier = self.type_body(keyword)?;
        self.expect_semicolon("the type")?;
        Ok(Definition {
            name,
            body: Body::Type(specifier),
            docs: self.docs_before(start),
        })
    }

    fn typedef(&mut self, start: usize) -> Parsed<Definition> {
        self.bump();
        let mut declaration = self.declaration(Naming::Required, "a type")?;
        self.expect_semicolon("the typedef")?;
        let Some(name) = declaration.name.clone() else {
            return Err(self.misplaced(start, "`void` cannot have a name"));
        };
        let docs = self.docs_around(start);
        declaration.docs = String::new();
        let body = match unnested(&declaration) {
            true => Body::Type(declaration.specifier),
            false => Body::Typedef(declaration),
        };
        Ok(Definition { name, body, docs })
    }

    // req: rpcl-5531-12.2-programs
    fn program(&mut self, start: usize) -> Parsed<Program> {
        self.bump();
        let name = self.name("a program")?;
        let versions = self.body("the program", Self::version)?;
        self.expect(Token::Equals, "`=` and the program's number")?;
        let number = self.value("the program's number")?;
        self.expect_semicolon("the program")?;
        Ok(Program {
            name,
            number,
            versions,
            docs: self.docs_before(start),
        })
    }

    fn version(&mut self) -> Parsed<Version> {
        let start = self.at;
        self.expect(Token::Version, "`version` or `}`")?;
        let name = self.name("a version")?;
        let procedures = self.body("the version", Self::procedure)?;
        self.expect(Token::Equals, "`=` and the version's number")?;
        let number = self.value("the version's number")?;
        self.expect_semicolon("the version")?;
        Ok(Version {
            name,
            number,
            procedures,
            docs: self.docs_before(start),
        })
    }

    fn procedure(&mut self) -> Parsed<Procedure> {
        let start = self.at;
        let result = self.declaration(Naming::Forbidden, "a result")?;
        let name = self.name("a procedure")?;
        self.expect(Token::OpenParen, "`(` and the arguments")?;
        let arguments = self.arguments()?;
        self.expect(Token::Equals, "`=` and the procedure's number")?;
        let number = self.value("the procedure's number")?;
        self.expect_semicolon("the procedure")?;
        let (docs, span) = (self.docs_around(start), self.span_from(start));
        Ok(Procedure {
            name,
            number,
            arguments,
            result,
            docs,
            span,
        })
    }

    /// The arguments and the parenthesis behind them; none for `void`.
    fn arguments(&mut self) -> Parsed<Vec<Declaration>> {
        let mut arguments: Vec<Declaration> = Vec::new();
        if self.eat(Token::CloseParen) {
            return Ok(arguments);
        }
        loop {
            let start = self.at;
            let argument = self.declaration(Naming::Optional, "an argument")?;
            if argument.is_void() {
                let alone = arguments.is_empty() && self.token() == Token::CloseParen;
                if !alone {
                    return Err(self.misplaced(start, "`void` stands alone between parentheses"));
                }
                self.bump();
                return Ok(arguments);
            }
            arguments.push(argument);
            if self.eat(Token::CloseParen) {
                return Ok(arguments);
            }
            self.expect(Token::Comma, "`,` or `)` behind the argument")?;
        }
    }
}

/// Whether `typedef struct { ... } x` is only another way to write `struct x { ... }`.
fn unnested(declaration: &Declaration) -> bool {
    let nested = matches!(
        declaration.specifier,
        Specifier::Enum(_) | Specifier::Struct(_) | Specifier::Union(_)
    );
    let same = match (&declaration.tag, &declaration.name) {
        (Some(tag), Some(name)) => tag.text == name.text,
        _ => true,
    };
    nested && same && matches!(declaration.shape, Shape::Plain)
}
