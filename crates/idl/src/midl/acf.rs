//! Attribute configuration files: what an `.acf` says is added to the attributes of the `.idl` beside it.
//!
//! Read first: C706 chapter 4.3 ("The attribute configuration source") with its grammar. A configuration says nothing about the
//! wire, except which types and operations are to be serialized by themselves.

use super::ast::{Attribute, Attributes, File, Find, Interface, Operation, Statement};
use super::lexer::{Token, lex};
use super::parser::{Failed, Parsed, Parser};
use crate::diag::Diagnostic;
use crate::preprocess::Preprocessed;

/// One thing that a configuration says.
#[derive(Debug)]
enum Entry {
    /// `typedef [attributes] name;`
    Type(Attributes, super::ast::Name),
    /// `[attributes] name([attributes] parameter, …);`
    Operation(
        Attributes,
        super::ast::Name,
        Vec<(Attributes, super::ast::Name)>,
    ),
}

/// What is said about one interface.
#[derive(Debug)]
struct Section {
    name: super::ast::Name,
    attributes: Attributes,
    entries: Vec<Entry>,
}

// req: idl-c706-4.3-acf
/// Reads the configuration and adds it to the file; what there was to say.
pub(super) fn apply(source: &Preprocessed, file: &mut File) -> Vec<Diagnostic> {
    let lexed = lex(&source.text);
    let mut parser = Parser::new(source, &lexed);
    let mut sections = Vec::new();
    while parser.token() != Token::End && !parser.gave_up() {
        match section(&mut parser) {
            Ok(Some(section)) => sections.push(section),
            Ok(None) => {}
            Err(Failed) => parser.skip_statement(),
        }
        if parser.token() == Token::CloseBrace {
            parser.bump();
        }
    }
    let mut diagnostics = parser.diagnostics;
    for section in sections {
        configure(section, file, &mut diagnostics);
    }
    diagnostics
}

fn section(parser: &mut Parser<'_>) -> Parsed<Option<Section>> {
    if parser.eat(Token::Semicolon) {
        return Ok(None);
    }
    if matches!(parser.word(), "import" | "include") {
        includes(parser)?;
        return Ok(None);
    }
    let attributes = parser.attributes()?;
    if !parser.eat_word("interface") {
        return Err(parser.unexpected("`interface`"));
    }
    let name = parser.name("the interface")?;
    let mut entries = Vec::new();
    if parser.eat(Token::OpenBrace) {
        while !parser.eat(Token::CloseBrace) {
            if parser.token() == Token::End || parser.gave_up() {
                return Err(parser.unexpected("`}` behind the interface"));
            }
            if entry(parser, &mut entries).is_err() {
                parser.skip_statement();
            }
        }
    }
    parser.eat(Token::Semicolon);
    Ok(Some(Section {
        name,
        attributes,
        entries,
    }))
}

/// `include "a", "b";`: headers for C.
fn includes(parser: &mut Parser<'_>) -> Parsed<()> {
    parser.bump();
    loop {
        parser.expect(Token::Text, "the name of a file, in quotes")?;
        if !parser.eat(Token::Comma) {
            return parser.expect_semicolon("the include");
        }
    }
}

fn entry(parser: &mut Parser<'_>, entries: &mut Vec<Entry>) -> Parsed<()> {
    if parser.eat(Token::Semicolon) {
        return Ok(());
    }
    if matches!(parser.word(), "include" | "import") {
        return includes(parser);
    }
    if parser.eat_word("typedef") {
        let attributes = parser.attributes()?;
        loop {
            let name = parser.name("a type")?;
            entries.push(Entry::Type(attributes.clone(), name));
            if !parser.eat(Token::Comma) {
                return parser.expect_semicolon("the type");
            }
        }
    }
    let attributes = parser.attributes()?;
    loop {
        let name = parser.name("an operation")?;
        let mut parameters = Vec::new();
        if parser.eat(Token::OpenParen) {
            while !parser.eat(Token::CloseParen) {
                let attributes = parser.attributes()?;
                parameters.push((attributes, parser.name("a parameter")?));
                if !parser.eat(Token::Comma) && parser.token() != Token::CloseParen {
                    return Err(parser.unexpected("`,` or `)` behind the parameter"));
                }
            }
        }
        entries.push(Entry::Operation(attributes.clone(), name, parameters));
        if !parser.eat(Token::Comma) {
            return parser.expect_semicolon("the operation");
        }
    }
}

/// Adds a section to the interface that it is about.
fn configure(section: Section, file: &mut File, diagnostics: &mut Vec<Diagnostic>) {
    let found = file.statements.iter_mut().find_map(|it| match it {
        Statement::Interface(it) if it.name.text == section.name.text && it.body.is_some() => {
            Some(it)
        }
        _ => None,
    });
    let Some(interface) = found else {
        let message = format!("there is no interface `{}` to configure", section.name.text);
        return diagnostics.push(Diagnostic::error("E0501", section.name.span, message));
    };
    interface.attributes.extend(section.attributes);
    for entry in section.entries {
        let (missing, name) = match entry {
            Entry::Type(attributes, name) => ("type", configure_type(interface, attributes, name)),
            Entry::Operation(attributes, name, parameters) => (
                "operation",
                configure_operation(interface, attributes, name, parameters, diagnostics),
            ),
        };
        if let Some(name) = name {
            let message = format!(
                "there is no {missing} `{}` in interface `{}` to configure",
                name.text, interface.name.text
            );
            diagnostics.push(Diagnostic::error("E0501", name.span, message));
        }
    }
}

/// Adds attributes to a typedef; the name if there is none.
fn configure_type(
    interface: &mut Interface,
    attributes: Attributes,
    name: super::ast::Name,
) -> Option<super::ast::Name> {
    for statement in interface.body.iter_mut().flatten() {
        let (Statement::Typedef(declaration) | Statement::Tagged(declaration)) = statement else {
            continue;
        };
        let mut declarators = declaration.declarators.iter_mut();
        let is_it =
            |it: &super::ast::Declarator| it.name.as_ref().is_some_and(|n| n.text == name.text);
        if let Some(declarator) = declarators.find(|it| is_it(it)) {
            declarator.attributes.extend(attributes);
            return None;
        }
    }
    Some(name)
}

/// Adds attributes to an operation; the name if there is none.
fn configure_operation(
    interface: &mut Interface,
    attributes: Attributes,
    name: super::ast::Name,
    parameters: Vec<(Attributes, super::ast::Name)>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<super::ast::Name> {
    let mut operations = interface
        .body
        .iter_mut()
        .flatten()
        .filter_map(|it| match it {
            Statement::Operation(it) => Some(it),
            _ => None,
        });
    let Some(operation) = operations.find(|it| it.name.text == name.text) else {
        return Some(name);
    };
    operation.attributes.extend(attributes);
    for (attributes, name) in parameters {
        configure_parameter(operation, attributes, name, diagnostics);
    }
    None
}

fn configure_parameter(
    operation: &mut Operation,
    attributes: Attributes,
    name: super::ast::Name,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let mut parameters = operation.parameters.iter_mut();
    let found = parameters.find(|it| {
        let mut names = it.declarators.iter().filter_map(|it| it.name.as_ref());
        names.any(|it| it.text == name.text)
    });
    match found {
        Some(parameter) => parameter.attributes.extend(attributes),
        // A status that is no parameter of the interface is one of the C function alone.
        None => {
            let status =
                |it: &&Attribute| matches!(it.name.text.as_str(), "comm_status" | "fault_status");
            let said: Attributes = attributes.iter().filter(status).cloned().collect();
            if said.is_empty() {
                let message = format!("there is no parameter `{}` to configure", name.text);
                diagnostics.push(Diagnostic::error("E0501", name.span, message));
            }
            for attribute in said {
                if !operation.attributes.has(&attribute.name.text) {
                    operation.attributes.push(attribute);
                }
            }
        }
    }
}
