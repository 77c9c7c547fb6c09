//! What stands in a file, a library or an interface.

use super::expression::unquoted;
use super::{Failed, Parsed, Parser};
use crate::diag::Diagnostic;
use crate::midl::ast::{
    Attributes, Const, Declaration, Import, Interface, Operation, Statement, TypeName,
};
use crate::midl::lexer::Token;

impl Parser<'_> {
    /// Statements up to the end of the file or, `inside` of something, to the brace that closes it.
    pub(super) fn statements(&mut self, out: &mut Vec<Statement>, inside: bool) {
        while self.token() != Token::End && !self.gave_up() {
            if inside && self.token() == Token::CloseBrace {
                return;
            }
            if let Err(Failed) = self.statement(out) {
                self.skip_statement();
                if !inside {
                    self.eat(Token::CloseBrace);
                }
            }
        }
    }

    fn statement(&mut self, out: &mut Vec<Statement>) -> Parsed<()> {
        if self.eat(Token::Semicolon) {
            return Ok(());
        }
        let start = self.at;
        let attributes = self.attributes()?;
        match self.word() {
            "import" | "include" => self.imports(out),
            "importlib" => self.import_library(),
            "cpp_quote" => self.quote(out),
            "midl_pragma" | "pragma" => self.pragma(),
            "interface" if !self.is_type_use() => self.interface(start, attributes, out),
            "dispinterface" | "coclass" | "module" if !self.is_type_use() => {
                self.unmarshalled(start, attributes, out)
            }
            "library" => self.nested(|it| it.library(out)),
            "namespace" => {
                let message = "namespaces are of the Windows Runtime, whose interfaces are not called over a wire";
                Err(self.fail(Diagnostic::error("E0207", self.span(), message)))
            }
            "typedef" => {
                let typedef = self.typedef(start, attributes)?;
                out.push(Statement::Typedef(typedef));
                Ok(())
            }
            _ => self.declaration(start, attributes, out),
        }
    }

    /// Whether `interface x` is the type of something: a name or a star follows it.
    fn is_type_use(&self) -> bool {
        self.token_at(self.at + 1) == Token::Word
            && matches!(self.token_at(self.at + 2), Token::Word | Token::Star)
    }

    fn imports(&mut self, out: &mut Vec<Statement>) -> Parsed<()> {
        self.bump();
        loop {
            let span = self.span();
            if self.token() != Token::Text {
                return Err(self.unexpected("the name of a file, in quotes"));
            }
            let path = unquoted(self.text());
            self.bump();
            out.push(Statement::Import(Import { path, span }));
            if !self.eat(Token::Comma) {
                break;
            }
        }
        self.expect_semicolon("the import")
    }

    /// `importlib("x.tlb");`: type libraries have nothing that is on the wire.
    fn import_library(&mut self) -> Parsed<()> {
        self.bump();
        let parenthesis = self.eat(Token::OpenParen);
        loop {
            self.expect(Token::Text, "the name of a library, in quotes")?;
            if !self.eat(Token::Comma) {
                break;
            }
        }
        if parenthesis {
            self.expect(Token::CloseParen, "`)` behind the library")?;
        }
        self.eat(Token::Semicolon);
        Ok(())
    }

    fn quote(&mut self, out: &mut Vec<Statement>) -> Parsed<()> {
        let start = self.at;
        self.bump();
        self.expect(Token::OpenParen, "`(` behind cpp_quote")?;
        let mut text = String::new();
        while self.token() == Token::Text {
            text.push_str(&unquoted(self.text()));
            self.bump();
        }
        self.expect(Token::CloseParen, "a string and `)` behind cpp_quote")?;
        self.eat(Token::Semicolon);
        out.push(Statement::Quote(text, self.span_from(start)));
        Ok(())
    }

    /// `midl_pragma warning(disable: 2279)`: instructions for one compiler.
    fn pragma(&mut self) -> Parsed<()> {
        self.bump();
        self.name("the pragma")?;
        self.expect(Token::OpenParen, "`(` behind the pragma")?;
        if !self.skip_closed(Token::OpenParen, Token::CloseParen) {
            return Err(self.unexpected("`)` of the pragma"));
        }
        self.eat(Token::Semicolon);
        Ok(())
    }

    fn interface(
        &mut self,
        start: usize,
        attributes: Attributes,
        out: &mut Vec<Statement>,
    ) -> Parsed<()> {
        self.bump();
        let name = self.name("the interface")?;
        let mut base = None;
        if self.eat(Token::Colon) {
            base = Some(self.name("the base interface")?);
            while self.eat(Token::Comma) {
                self.name("the base interface")?;
            }
        }
        let docs = self.docs_before(start);
        let body = match self.token() {
            Token::OpenBrace => Some(self.nested(Self::interface_body)?),
            Token::Semicolon if base.is_none() => None,
            _ => return Err(self.unexpected("`{` and the body of the interface")),
        };
        self.eat(Token::Semicolon);
        out.push(Statement::Interface(Interface {
            attributes,
            name,
            base,
            body,
            local: false,
            docs,
        }));
        Ok(())
    }

    fn interface_body(&mut self) -> Parsed<Vec<Statement>> {
        let open = self.span();
        self.bump();
        let mut statements = Vec::new();
        self.statements(&mut statements, true);
        if self.eat(Token::CloseBrace) {
            return Ok(statements);
        }
        let message = format!("expected `}}` behind the interface, found {}", self.found());
        let error = Diagnostic::error("E0201", self.span(), message);
        Err(self.fail(error.label(open, "the body begins here")))
    }

    /// A dispinterface, coclass or module: nothing in it is on the wire, only its name is kept.
    fn unmarshalled(
        &mut self,
        start: usize,
        attributes: Attributes,
        out: &mut Vec<Statement>,
    ) -> Parsed<()> {
        let keyword = self.word();
        self.bump();
        let name = self.name("what is declared")?;
        let docs = self.docs_before(start);
        if self.eat(Token::OpenBrace) && !self.skip_closed(Token::OpenBrace, Token::CloseBrace) {
            return Err(self.unexpected("`}`"));
        }
        self.eat(Token::Semicolon);
        if keyword == "dispinterface" {
            out.push(Statement::Interface(Interface {
                attributes,
                name,
                base: None,
                body: Some(Vec::new()),
                local: true,
                docs,
            }));
        }
        Ok(())
    }

    /// A library's statements are as good as those of the file.
    fn library(&mut self, out: &mut Vec<Statement>) -> Parsed<()> {
        self.bump();
        self.name("the library")?;
        self.expect(Token::OpenBrace, "`{` and the body of the library")?;
        self.statements(out, true);
        self.expect(Token::CloseBrace, "`}` behind the library")?;
        self.eat(Token::Semicolon);
        Ok(())
    }

    fn typedef(&mut self, start: usize, mut attributes: Attributes) -> Parsed<Declaration> {
        self.bump();
        attributes.extend(self.attributes()?);
        let declaration = self.declaration_behind(start, attributes, "the type")?;
        // The name of the only declarator is the last word.
        if let Some(at) = self.at.checked_sub(2)
            && self.token_at(at) == Token::Word
        {
            self.types.insert(self.text_at(at));
        }
        Ok(declaration)
    }

    /// A constant, a struct and the like, or an operation.
    fn declaration(
        &mut self,
        start: usize,
        attributes: Attributes,
        out: &mut Vec<Statement>,
    ) -> Parsed<()> {
        let is_extern = self.word() == "extern";
        let type_start = self.at;
        let specifier = self.specifier()?;
        let behind = self.attributes_behind_type()?;
        if Self::is_tagged(&specifier) && self.token() == Token::Semicolon {
            self.bump();
            out.push(Statement::Tagged(Declaration {
                attributes,
                specifier,
                declarators: Vec::new(),
                docs: self.docs_around(start),
            }));
            return Ok(());
        }
        let declarator = self.declarator("the operation")?;
        let Some(name) = declarator.name else {
            return Err(Failed);
        };
        let ty = TypeName {
            attributes: behind,
            specifier,
            modifiers: declarator.modifiers,
            span: self.span_from(type_start),
        };
        let is_const = (type_start..self.at).any(|at| self.word_at(at) == "const");
        match self.token() {
            Token::Equals if is_const => {
                self.bump();
                let value = self.expression()?;
                self.expect_semicolon("the constant")?;
                let docs = self.docs_around(start);
                out.push(Statement::Const(Const {
                    ty,
                    name,
                    value,
                    docs,
                }));
            }
            Token::OpenParen => {
                let parameters = self.parameters()?;
                self.eat_word("const");
                self.expect_semicolon("the operation")?;
                out.push(Statement::Operation(Operation {
                    attributes,
                    result: ty,
                    name,
                    parameters,
                    docs: self.docs_around(start),
                }));
            }
            // A variable of the program's own.
            Token::Semicolon if is_extern => self.bump(),
            _ => return Err(self.unexpected("`(` and the parameters of the operation")),
        }
        Ok(())
    }
}
