//! From text to tokens, comments kept aside with the token that they precede.

use std::ops::Range;

use logos::Logos;

/// A kind of token.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\r\n\f]+")]
pub(crate) enum Token {
    #[token("bool")]
    Bool,
    #[token("case")]
    Case,
    #[token("const")]
    Const,
    #[token("default")]
    Default,
    #[token("double")]
    Double,
    #[token("quadruple")]
    Quadruple,
    #[token("enum")]
    Enum,
    #[token("float")]
    Float,
    #[token("hyper")]
    Hyper,
    #[token("int")]
    Int,
    #[token("opaque")]
    Opaque,
    #[token("string")]
    String,
    #[token("struct")]
    Struct,
    #[token("switch")]
    Switch,
    #[token("typedef")]
    Typedef,
    #[token("union")]
    Union,
    #[token("unsigned")]
    Unsigned,
    #[token("void")]
    Void,
    #[token("program")]
    Program,
    #[token("version")]
    Version,
    #[regex(r"[A-Za-z_][A-Za-z0-9_]*")]
    Word,
    #[regex(r"-?[0-9][A-Za-z0-9_]*")]
    Number,
    #[token("{")]
    OpenBrace,
    #[token("}")]
    CloseBrace,
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token("<")]
    Less,
    #[token(">")]
    Greater,
    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token(",")]
    Comma,
    #[token("=")]
    Equals,
    #[token("*")]
    Star,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    #[token("/*", block_comment)]
    Comment,
    #[regex(r#""[^"\n]*"?"#)]
    Text,
    /// Anything else; a word if letters that names do not have are in it.
    #[regex(r"[A-Za-z0-9_]*[^\x00-\x7F]([A-Za-z0-9_]|[^\x00-\x7F])*")]
    Unknown,
    /// The end of the text.
    End,
}

impl Token {
    /// Whether it is a reserved word.
    pub(crate) fn is_keyword(self) -> bool {
        (self as u8) < (Token::Word as u8)
    }

    /// Whether a definition begins with it.
    pub(crate) fn begins_definition(self) -> bool {
        use Token::{Const, Enum, Program, Struct, Typedef, Union};
        matches!(self, Const | Typedef | Enum | Struct | Union | Program)
    }
}

/// The preprocessor has closed every comment.
fn block_comment(lexer: &mut logos::Lexer<'_, Token>) {
    let rest = lexer.remainder();
    lexer.bump(rest.find("*/").map_or(rest.len(), |at| at + 2));
}

/// A token and its place in the text.
#[derive(Clone, Debug)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) range: Range<usize>,
}

/// A comment, its place in the text, and the line feeds around it.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) range: Range<usize>,
    /// Line feeds between it and what is before it, token or comment.
    pub(crate) lines_before: usize,
    /// Line feeds between it and what is behind it.
    pub(crate) lines_after: usize,
}

/// A text, cut.
#[derive(Debug)]
pub(crate) struct Lexed {
    /// The tokens; the last one is [`Token::End`].
    pub(crate) lexemes: Vec<Lexeme>,
    /// For each token the range in `comments` of those directly in front of it.
    pub(crate) before: Vec<Range<usize>>,
    pub(crate) comments: Vec<Comment>,
}

/// Cuts a text.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut out = Lexed {
        lexemes: Vec::new(),
        before: Vec::new(),
        comments: Vec::new(),
    };
    let mut first = 0;
    let mut end = 0;
    for (token, range) in Token::lexer(text).spanned() {
        let lines = line_feeds(text, end..range.start);
        end = range.end;
        if let Some(last) = out.comments.get_mut(first..).and_then(<[_]>::last_mut) {
            last.lines_after = lines;
        }
        if token == Ok(Token::Comment) {
            out.comments.push(Comment {
                range,
                lines_before: lines,
                lines_after: 0,
            });
            continue;
        }
        out.before.push(first..out.comments.len());
        first = out.comments.len();
        out.lexemes.push(Lexeme {
            token: token.unwrap_or(Token::Unknown),
            range,
        });
    }
    out.before.push(first..out.comments.len());
    out.lexemes.push(Lexeme {
        token: Token::End,
        range: text.len()..text.len(),
    });
    out
}

fn line_feeds(text: &str, range: Range<usize>) -> usize {
    text.get(range).unwrap_or("").matches('\n').count()
}

/// The text of a comment without its markers and without the column of stars.
pub(crate) fn comment_text(comment: &str) -> String {
    let inner = match comment.strip_prefix("/*") {
        Some(block) => block.strip_suffix("*/").unwrap_or(block),
        None => comment.trim_start_matches('/'),
    };
    let lines: Vec<&str> = inner.lines().map(comment_line).collect();
    let first = lines
        .iter()
        .position(|line| !line.is_empty())
        .unwrap_or(lines.len());
    let last = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(first, |at| at + 1);
    lines.get(first..last).unwrap_or(&[]).join("\n")
}

/// One line of a comment: stars, bars and exclamation marks at its ends are decoration.
fn comment_line(line: &str) -> &str {
    let line = line.trim();
    let bare = line.trim_start_matches(['*', '!']);
    let bare = if bare.len() < line.len() && line.starts_with("**") && bare.is_empty() {
        ""
    } else {
        bare
    };
    bare.trim_end_matches('*').trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).lexemes.into_iter().map(|it| it.token).collect()
    }

    #[test]
    fn cuts_tokens() {
        use Token::{Less, Number, Semicolon, Unknown, Unsigned, Word};
        let all = tokens("unsigned unsignedly; <-0x1F 12ab é @");
        let expected = [
            Unsigned,
            Word,
            Semicolon,
            Less,
            Number,
            Number,
            Unknown,
            Unknown,
            Token::End,
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn keeps_comments_with_the_token_behind_them() {
        let lexed = lex("a /* 1 */ // 2\n/* 3 */ b /* open");
        assert_eq!(lexed.before, [0..0, 0..3, 3..4]);
        let lines: Vec<_> = lexed
            .comments
            .iter()
            .map(|it| (it.lines_before, it.lines_after))
            .collect();
        assert_eq!(lines, [(0, 0), (0, 1), (1, 0), (0, 0)]);
    }

    #[test]
    fn strips_comments() {
        assert_eq!(comment_text("/* one */"), "one");
        assert_eq!(comment_text("/**\n * one\n *\n * two *\n */"), "one\n\ntwo");
        assert_eq!(comment_text("//! one"), "one");
        assert_eq!(comment_text("/***/"), "");
        assert_eq!(comment_text("/*****\n ***/"), "");
    }
}
