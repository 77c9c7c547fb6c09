//! From tokens to the syntax tree, by recursive descent.
//!
//! After an error the parser goes on behind the next semicolon, so one run reports them all. It
//! recurses for nested types only, and these no deeper than [`DEPTH`]. This file has the cursor,
//! the complaints and the comments; `definition` and `declaration` have the grammar.

mod declaration;
mod definition;

use super::ast::{File, Name, Value};
use super::lexer::{Lexed, Token, comment_text, lex};
use crate::diag::{Diagnostic, Span};
use crate::preprocess::Preprocessed;
use crate::preprocess::expression;

/// How deep types may be nested in types.
const DEPTH: u32 = 32;
/// After so many errors the rest is left unread.
const MOST_ERRORS: usize = 100;

/// It has been reported: the caller only has to find a place to go on.
#[derive(Debug)]
pub(super) struct Failed;

type Parsed<T> = Result<T, Failed>;

/// Parses a preprocessed file; what it says is as complete as the errors leave it.
pub(crate) fn parse(source: &Preprocessed) -> (File, Vec<Diagnostic>) {
    let lexed = lex(&source.text);
    let mut parser = Parser {
        source,
        lexed: &lexed,
        at: 0,
        depth: 0,
        quiet: false,
        lost: false,
        diagnostics: Vec::new(),
    };
    let mut file = File::default();
    while parser.token() != Token::End && parser.diagnostics.len() < MOST_ERRORS {
        let start = parser.at;
        match parser.definition(&mut file) {
            Ok(()) => parser.quiet = false,
            Err(Failed) => {
                parser.note_broken(start, &mut file);
                parser.skip_definition(start);
            }
        }
    }
    file.lost |= parser.lost;
    (file, parser.diagnostics)
}

struct Parser<'a> {
    source: &'a Preprocessed,
    lexed: &'a Lexed,
    /// Index of the next token.
    at: usize,
    /// How many types we are inside of.
    depth: u32,
    /// Nothing is reported until a definition begins: an error before it is likely the cause.
    quiet: bool,
    /// A value of an enum could not be parsed.
    lost: bool,
    diagnostics: Vec<Diagnostic>,
}

/// The cursor.
impl<'a> Parser<'a> {
    fn token(&self) -> Token {
        self.token_at(self.at)
    }

    fn token_at(&self, at: usize) -> Token {
        self.lexed.lexemes.get(at).map_or(Token::End, |it| it.token)
    }

    fn text_at(&self, at: usize) -> &'a str {
        let range = self.lexed.lexemes.get(at).map(|it| it.range.clone());
        range
            .and_then(|range| self.source.text.get(range))
            .unwrap_or("")
    }

    fn span_at(&self, at: usize) -> Span {
        let last = self.lexed.lexemes.len().saturating_sub(1);
        let range = self
            .lexed
            .lexemes
            .get(at.min(last))
            .map_or(0..0, |it| it.range.clone());
        self.source.origin(range)
    }

    fn span(&self) -> Span {
        self.span_at(self.at)
    }

    /// From the token at `start` to the last one that was taken.
    fn span_from(&self, start: usize) -> Span {
        self.span_at(start)
            .to(self.span_at(self.at.saturating_sub(1).max(start)))
    }

    fn bump(&mut self) {
        if self.token() != Token::End {
            self.at += 1;
        }
    }

    fn eat(&mut self, token: Token) -> bool {
        let found = self.token() == token;
        if found {
            self.bump();
        }
        found
    }

    /// Takes a word that is not reserved but has a meaning here.
    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.token() == Token::Word && self.text_at(self.at) == word;
        if found {
            self.bump();
        }
        found
    }

    fn expect(&mut self, token: Token, expected: &str) -> Parsed<()> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    /// A semicolon is missing behind what is before it, rather than in front of what follows.
    fn expect_semicolon(&mut self, behind: &str) -> Parsed<()> {
        if self.eat(Token::Semicolon) {
            return Ok(());
        }
        let before = self.span_at(self.at.saturating_sub(1));
        let gap = Span {
            start: before.end,
            ..before
        };
        let found = self.found();
        let message = format!("expected `;` behind {behind}, found {found}");
        Err(self.fail(Diagnostic::error("E0201", gap, message)))
    }

    // req: rpcl-4506-6.2-names
    fn name(&mut self, of: &str) -> Parsed<Name> {
        let (token, text, span) = (self.token(), self.text_at(self.at), self.span());
        if token == Token::Word {
            self.bump();
            return Ok(Name {
                text: text.to_owned(),
                span,
            });
        }
        let error = match token {
            _ if token.is_keyword() => {
                let message = format!("`{text}` is a keyword and cannot be the name of {of}");
                Diagnostic::error("E0202", span, message)
                    .hint("names are not on the wire: choose another")
            }
            Token::Number => {
                let message = format!("the name of {of} cannot be the number `{text}`");
                Diagnostic::error("E0203", span, message).hint("names begin with a letter")
            }
            _ => return Err(self.unexpected(&format!("the name of {of}"))),
        };
        Err(self.fail(error))
    }

    // req: rpcl-4506-6.2-constants
    /// A number, or a name that stands for one.
    fn value(&mut self, what: &str) -> Parsed<Value> {
        let (text, span) = (self.text_at(self.at), self.span());
        match self.token() {
            Token::Word => Ok(Value::Name(self.name(what)?)),
            Token::Number => {
                let Some((value, hex)) = number(text) else {
                    let message = format!("`{text}` is not a number");
                    let hint = "write 10, -10, 012 (octal) or 0x0a, within 127 bits";
                    self.bump();
                    return Err(self.fail(Diagnostic::error("E0204", span, message).hint(hint)));
                };
                self.bump();
                Ok(Value::Number { value, hex, span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Runs a part of the grammar that is one type deeper.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH {
            let message = format!("types are nested deeper than {DEPTH} levels");
            return Err(self.fail(Diagnostic::error("E0205", self.span(), message)));
        }
        self.depth += 1;
        let parsed = part(self);
        self.depth -= 1;
        parsed
    }
}

/// Its value, and whether it is hexadecimal.
fn number(text: &str) -> Option<(i128, bool)> {
    let (negative, digits) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    let value = expression::unsigned(digits)?;
    let hex = digits.starts_with("0x") || digits.starts_with("0X");
    Some((if negative { -value } else { value }, hex))
}

/// Complaints, and going on after them.
impl Parser<'_> {
    fn fail(&mut self, mut diagnostic: Diagnostic) -> Failed {
        let here = self
            .lexed
            .lexemes
            .get(self.at)
            .map_or(0, |it| it.range.start);
        if let Some(name) = self.source.replaced(here) {
            let text = self.text_at(self.at);
            diagnostic = diagnostic.hint(format!("`{name}` is a macro: here it is `{text}`"));
        }
        if !self.quiet {
            self.diagnostics.push(diagnostic);
        }
        Failed
    }

    /// What the next token is, for messages.
    fn found(&self) -> String {
        let text: String = self.text_at(self.at).chars().take(40).collect();
        match self.token() {
            Token::End => "the end of the file".into(),
            token if token.is_keyword() => format!("keyword `{text}`"),
            Token::Number => format!("number `{text}`"),
            Token::Text => format!("string {text}"),
            Token::Unknown => format!("`{}`", text.escape_debug()),
            _ => format!("`{text}`"),
        }
    }

    fn unexpected(&mut self, expected: &str) -> Failed {
        let message = format!("expected {expected}, found {}", self.found());
        let strange = self.token() == Token::Unknown;
        let code = if strange { "E0203" } else { "E0201" };
        let mut error = Diagnostic::error(code, self.span(), message);
        if strange {
            error = error.hint("names have the letters a-z, A-Z, digits and _");
        }
        self.fail(error)
    }

    /// Whether a line feed is in front of the next token.
    fn begins_line(&self) -> bool {
        let Some(before) = self
            .at
            .checked_sub(1)
            .and_then(|at| self.lexed.lexemes.get(at))
        else {
            return true;
        };
        let here = self
            .lexed
            .lexemes
            .get(self.at)
            .map_or(before.range.end, |it| it.range.start);
        self.source
            .text
            .get(before.range.end..here)
            .unwrap_or("")
            .contains('\n')
    }

    /// Remembers which names are missing because the definition at `start` could not be parsed.
    fn note_broken(&self, start: usize, file: &mut File) {
        let named = matches!(
            self.token_at(start),
            Token::Const | Token::Struct | Token::Union | Token::Program
        );
        if self.quiet {
            // The rest of one that was noted.
        } else if named && self.token_at(start + 1) == Token::Word {
            file.broken.insert(self.text_at(start + 1).to_owned());
        } else {
            file.lost = true;
        }
    }

    /// Goes behind the end of the definition that began at `start`, or to what looks like the
    /// start of another.
    fn skip_definition(&mut self, start: usize) {
        let mut braces = 0_usize;
        loop {
            match self.token() {
                Token::End => return,
                Token::Semicolon if braces == 0 => {
                    self.bump();
                    self.quiet = !self.token().begins_definition();
                    return;
                }
                Token::OpenBrace => braces += 1,
                Token::CloseBrace => braces = braces.saturating_sub(1),
                token
                    if token.begins_definition()
                        && braces == 0
                        && self.at > start
                        && self.begins_line() =>
                {
                    self.quiet = false;
                    return;
                }
                _ => {}
            }
            self.bump();
        }
    }

    /// Goes behind the end of a member, or to the brace that closes the body.
    fn skip_member(&mut self) {
        let mut braces = 0_usize;
        loop {
            match self.token() {
                Token::End | Token::Program | Token::Typedef | Token::Const => return,
                Token::Semicolon if braces == 0 => return self.bump(),
                Token::CloseBrace if braces == 0 => return,
                Token::OpenBrace => braces += 1,
                Token::CloseBrace => braces -= 1,
                _ => {}
            }
            self.bump();
        }
    }

    /// `{`, members that end themselves, `}`.
    fn body<T>(&mut self, of: &str, member: fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let open = self.span();
        self.expect(Token::OpenBrace, &format!("`{{` and the body of {of}"))?;
        let mut members = Vec::new();
        while !self.eat(Token::CloseBrace) {
            if matches!(
                self.token(),
                Token::End | Token::Program | Token::Typedef | Token::Const
            ) {
                let message = format!(
                    "expected `}}` behind the body of {of}, found {}",
                    self.found()
                );
                let error = Diagnostic::error("E0201", self.span(), message);
                return Err(self.fail(error.label(open, "the body begins here")));
            }
            match member(self) {
                Ok(it) => members.push(it),
                Err(Failed) => {
                    self.lost |= of == "the enum";
                    self.skip_member();
                }
            }
        }
        Ok(members)
    }
}

/// Comments.
impl Parser<'_> {
    fn comment(&self, index: usize) -> String {
        let range = self
            .lexed
            .comments
            .get(index)
            .map_or(0..0, |it| it.range.clone());
        comment_text(self.source.text.get(range).unwrap_or(""))
    }

    /// How many of the comments in front of a token are behind the one before it, on its line.
    fn trailing(&self, at: usize) -> usize {
        let range = self.lexed.before.get(at).cloned().unwrap_or(0..0);
        let comments = self.lexed.comments.get(range).unwrap_or(&[]);
        let run = comments
            .iter()
            .take_while(|it| it.lines_before == 0)
            .count();
        let inline = run == comments.len()
            && comments.last().is_some_and(|it| it.lines_after == 0)
            && self.token_at(at) != Token::End;
        if at == 0 || inline { 0 } else { run }
    }

    /// The comments directly in front of a token.
    fn docs_before(&self, at: usize) -> String {
        let range = self.lexed.before.get(at).cloned().unwrap_or(0..0);
        let first = range.start + self.trailing(at);
        let mut from = range.end;
        while from > first {
            let near = self
                .lexed
                .comments
                .get(from - 1)
                .is_some_and(|it| it.lines_after <= 1);
            if !near {
                break;
            }
            from -= 1;
        }
        self.join(from..range.end)
    }

    /// The comments behind the last token that was taken, on its line.
    fn docs_behind(&self) -> String {
        let range = self.lexed.before.get(self.at).cloned().unwrap_or(0..0);
        self.join(range.start..range.start + self.trailing(self.at))
    }

    /// Both, for something that began at `start` and has just ended.
    fn docs_around(&self, start: usize) -> String {
        let (before, behind) = (self.docs_before(start), self.docs_behind());
        match before.is_empty() || behind.is_empty() {
            true => before + &behind,
            false => format!("{before}\n{behind}"),
        }
    }

    /// Licences are no documentation.
    fn join(&self, comments: std::ops::Range<usize>) -> String {
        let texts = comments.map(|index| self.comment(index));
        let texts: Vec<String> = texts.filter(|it| !it.contains("Copyright")).collect();
        texts.join("\n").trim().to_owned()
    }
}

#[cfg(test)]
mod tests;
