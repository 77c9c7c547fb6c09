//! From tokens to the syntax tree, by recursive descent.
//!
//! Read first: C706 chapters 3 and 4.2 (the grammar), the language reference of MIDL. All dialects are read by
//! one grammar, which is wider than each. After an error the parser goes on behind the next semicolon. It
//! recurses for nested types, declarators and expressions, and these no deeper than [`DEPTH`]. This
//! file has the cursor, the complaints and the comments; the others have the grammar.

mod attribute;
mod declaration;
mod expression;
mod specifier;
mod statement;

pub(super) use expression::unquoted;

use std::collections::HashSet;

use super::ast::{File, Name};
use super::lexer::{Lexed, Token, lex};
use crate::diag::{Diagnostic, Span};
use crate::preprocess::Preprocessed;
use crate::rpcl::lexer::comment_text;

/// How deep types, declarators and expressions may be nested.
const DEPTH: u32 = 48;
/// After so many errors the rest is left unread.
const MOST_ERRORS: usize = 100;

/// It has been reported: the caller only has to find a place to go on.
#[derive(Debug)]
pub(super) struct Failed;

pub(super) type Parsed<T> = Result<T, Failed>;

/// Parses a preprocessed file; what it says is as complete as the errors leave it.
pub(crate) fn parse(source: &Preprocessed) -> (File, Vec<Diagnostic>) {
    let lexed = lex(&source.text);
    let mut parser = Parser::new(source, &lexed);
    let mut file = File::default();
    parser.statements(&mut file.statements, false);
    file.pidl = parser.pidl;
    file.lost = !parser.diagnostics.is_empty();
    (file, parser.diagnostics)
}

/// The parser over one text.
pub(super) struct Parser<'a> {
    pub(super) source: &'a Preprocessed,
    lexed: &'a Lexed,
    /// Index of the next token.
    pub(super) at: usize,
    /// How deep we are inside of the grammar.
    depth: u32,
    /// Names of types that were defined so far.
    pub(super) types: HashSet<&'a str>,
    /// Only pidl has what was seen.
    pub(super) pidl: bool,
    /// How many members of the innermost struct or union so far have no name.
    unnamed: u32,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// The cursor.
impl<'a> Parser<'a> {
    pub(super) fn new(source: &'a Preprocessed, lexed: &'a Lexed) -> Self {
        Self {
            source,
            lexed,
            at: 0,
            depth: 0,
            types: HashSet::new(),
            pidl: false,
            unnamed: 0,
            diagnostics: Vec::new(),
        }
    }

    /// Whether the word is the name of a type, as far as one can know so early.
    pub(super) fn is_known_type(&self, word: &str) -> bool {
        self.types.contains(word)
            || word.ends_with("_t")
            || matches!(
                word,
                "DWORD" | "ULONG" | "LONG" | "UINT" | "INT" | "HRESULT" | "WORD" | "BYTE"
            )
            || matches!(
                word,
                "uint8" | "uint16" | "uint32" | "int8" | "int16" | "int32"
            )
    }

    pub(super) fn token(&self) -> Token {
        self.token_at(self.at)
    }

    pub(super) fn token_at(&self, at: usize) -> Token {
        self.lexed.lexemes.get(at).map_or(Token::End, |it| it.token)
    }

    pub(super) fn text_at(&self, at: usize) -> &'a str {
        let range = self.lexed.lexemes.get(at).map(|it| it.range.clone());
        range
            .and_then(|range| self.source.text.get(range))
            .unwrap_or("")
    }

    /// The next token's text.
    pub(super) fn text(&self) -> &'a str {
        self.text_at(self.at)
    }

    /// The next token's text if it is a word, otherwise nothing.
    pub(super) fn word(&self) -> &'a str {
        self.word_at(self.at)
    }

    pub(super) fn word_at(&self, at: usize) -> &'a str {
        match self.token_at(at) {
            Token::Word => self.text_at(at),
            _ => "",
        }
    }

    fn span_at(&self, at: usize) -> Span {
        let last = self.lexed.lexemes.len().saturating_sub(1);
        let lexeme = self.lexed.lexemes.get(at.min(last));
        self.source
            .origin(lexeme.map_or(0..0, |it| it.range.clone()))
    }

    pub(super) fn span(&self) -> Span {
        self.span_at(self.at)
    }

    /// From the token at `start` to the last one that was taken.
    pub(super) fn span_from(&self, start: usize) -> Span {
        self.span_at(start)
            .to(self.span_at(self.at.saturating_sub(1).max(start)))
    }

    /// The text from the token at `start` up to the next one, as it is written.
    pub(super) fn raw_from(&self, start: usize) -> &'a str {
        let from = self.lexed.lexemes.get(start).map_or(0, |it| it.range.start);
        let last = self.at.checked_sub(1).filter(|last| *last >= start);
        let to = last
            .and_then(|last| self.lexed.lexemes.get(last))
            .map_or(from, |it| it.range.end);
        self.source.text.get(from..to).unwrap_or("")
    }

    pub(super) fn bump(&mut self) {
        if self.token() != Token::End {
            self.at += 1;
        }
    }

    pub(super) fn eat(&mut self, token: Token) -> bool {
        let found = self.token() == token;
        if found {
            self.bump();
        }
        found
    }

    /// Takes this word.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn expect(&mut self, token: Token, expected: &str) -> Parsed<()> {
        if self.eat(token) {
            return Ok(());
        }
        Err(self.unexpected(expected))
    }

    /// A semicolon is missing behind what is before it, rather than in front of what follows.
    pub(super) fn expect_semicolon(&mut self, behind: &str) -> Parsed<()> {
        if self.eat(Token::Semicolon) {
            return Ok(());
        }
        let before = self.span_at(self.at.saturating_sub(1));
        let gap = Span {
            start: before.end,
            ..before
        };
        let message = format!("expected `;` behind {behind}, found {}", self.found());
        Err(self.fail(Diagnostic::error("E0201", gap, message)))
    }

    pub(super) fn name(&mut self, of: &str) -> Parsed<Name> {
        if self.token() != Token::Word {
            return Err(self.unexpected(&format!("the name of {of}")));
        }
        let (text, span) = (self.text().to_owned(), self.span());
        self.bump();
        Ok(Name { text, span })
    }

    /// Runs a part of the grammar that is one level deeper.
    pub(super) fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH {
            let message = format!("nested deeper than {DEPTH} levels");
            return Err(self.fail(Diagnostic::error("E0205", self.span(), message)));
        }
        self.depth += 1;
        let parsed = part(self);
        self.depth -= 1;
        parsed
    }

    /// Whether so much is wrong that the rest is left unread.
    pub(super) fn gave_up(&self) -> bool {
        self.diagnostics.len() >= MOST_ERRORS
    }
}

/// Complaints, and going on after them.
impl Parser<'_> {
    pub(super) fn fail(&mut self, mut diagnostic: Diagnostic) -> Failed {
        let here = self.lexed.lexemes.get(self.at);
        if let Some(name) = self.source.replaced(here.map_or(0, |it| it.range.start)) {
            let text: String = self.text().chars().take(40).collect();
            diagnostic = diagnostic.hint(format!("`{name}` is a macro: here it is `{text}`"));
        }
        self.diagnostics.push(diagnostic);
        Failed
    }

    /// What the next token is, for messages.
    pub(super) fn found(&self) -> String {
        let text: String = self.text().chars().take(40).collect();
        match self.token() {
            Token::End => "the end of the file".into(),
            Token::Number | Token::Float => format!("number `{text}`"),
            Token::Text | Token::WideText => format!("string {text}"),
            Token::Unknown => format!("`{}`", text.escape_debug()),
            _ => format!("`{text}`"),
        }
    }

    pub(super) fn unexpected(&mut self, expected: &str) -> Failed {
        let message = format!("expected {expected}, found {}", self.found());
        let strange = self.token() == Token::Unknown;
        let code = if strange { "E0203" } else { "E0201" };
        let mut error = Diagnostic::error(code, self.span(), message);
        if strange {
            error = error.hint("names have the letters a-z, A-Z, digits and _");
        }
        self.fail(error)
    }

    /// Goes behind the bracket that closes the one in front of the next token; false if none does.
    pub(super) fn skip_closed(&mut self, open: Token, close: Token) -> bool {
        let mut level = 1_usize;
        while self.token() != Token::End {
            let token = self.token();
            self.bump();
            if token == open {
                level += 1;
            } else if token == close {
                level -= 1;
            }
            if level == 0 {
                return true;
            }
        }
        false
    }

    /// Goes behind the semicolon that ends a statement or member, or to the brace that closes what
    /// it is in.
    pub(super) fn skip_statement(&mut self) {
        let mut braces = 0_usize;
        loop {
            match self.token() {
                Token::End => return,
                Token::Semicolon if braces == 0 => return self.bump(),
                Token::CloseBrace if braces == 0 => return,
                Token::OpenBrace => braces += 1,
                Token::CloseBrace => braces -= 1,
                _ => {}
            }
            self.bump();
        }
    }
}

/// Comments.
impl Parser<'_> {
    fn comment(&self, index: usize) -> String {
        let comment = self.lexed.comments.get(index);
        let range = comment.map_or(0..0, |it| it.range.clone());
        comment_text(self.source.text.get(range).unwrap_or(""))
    }

    /// How many of the comments in front of a token are behind the one before it, on its line.
    fn trailing(&self, at: usize) -> usize {
        let range = self.lexed.before.get(at).cloned().unwrap_or(0..0);
        let comments = self.lexed.comments.get(range).unwrap_or(&[]);
        let run = comments.iter().take_while(|it| it.lines_before == 0);
        let run = run.count();
        let inline = run == comments.len()
            && comments.last().is_some_and(|it| it.lines_after == 0)
            && self.token_at(at) != Token::End;
        if at == 0 || inline { 0 } else { run }
    }

    /// The comments directly in front of a token.
    pub(super) fn docs_before(&self, at: usize) -> String {
        let range = self.lexed.before.get(at).cloned().unwrap_or(0..0);
        let first = range.start + self.trailing(at);
        let mut from = range.end;
        while from > first {
            let comment = self.lexed.comments.get(from - 1);
            if comment.is_none_or(|it| it.lines_after > 1) {
                break;
            }
            from -= 1;
        }
        self.join(from..range.end)
    }

    /// The comments in front of what began at `start`, and those behind its end on the same line.
    pub(super) fn docs_around(&self, start: usize) -> String {
        let range = self.lexed.before.get(self.at).cloned().unwrap_or(0..0);
        let behind = self.join(range.start..range.start + self.trailing(self.at));
        let before = self.docs_before(start);
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
