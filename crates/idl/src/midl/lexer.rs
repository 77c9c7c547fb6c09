//! From text to tokens, comments kept aside with the token that they precede.
//!
//! Read first: C706 section 3.1 ("Lexical elements"). Keywords of this language are words that mean something in
//! their place only, so that every word is one token here.

use std::ops::Range;

use logos::Logos;

use crate::rpcl::lexer::Comment;

/// A kind of token.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\r\n\f\v\x1a\u{feff}]+")]
pub(crate) enum Token {
    #[regex(r"[A-Za-z_$][A-Za-z0-9_$]*")]
    Word,
    /// Digits and what sticks to them; also the beginning of a UUID.
    #[regex(r"[0-9][A-Za-z0-9_]*")]
    Number,
    #[regex(r"[0-9]+\.[0-9]+([eE][+-]?[0-9]+)?[fFlL]?")]
    #[regex(r"\.[0-9]+([eE][+-]?[0-9]+)?[fFlL]?")]
    #[regex(r"[0-9]+[eE][+-][0-9]+[fFlL]?")]
    Float,
    #[regex(r#""([^"\\\n]|\\.)*""#)]
    Text,
    #[regex(r#"L"([^"\\\n]|\\.)*""#)]
    WideText,
    #[regex(r"L?'([^'\\\n]|\\.)+'")]
    Character,
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
    #[token(".")]
    Dot,
    #[token("..")]
    Range,
    #[token("...")]
    Ellipsis,
    #[token("->")]
    Arrow,
    #[token("?")]
    Question,
    #[token("||")]
    OrOr,
    #[token("&&")]
    AndAnd,
    #[token("|")]
    Or,
    #[token("^")]
    Caret,
    #[token("&")]
    And,
    #[token("==")]
    Equal,
    #[token("!=")]
    NotEqual,
    #[token("<")]
    Less,
    #[token(">")]
    Greater,
    #[token("<=")]
    LessEqual,
    #[token(">=")]
    GreaterEqual,
    #[token("<<")]
    ShiftLeft,
    #[token(">>")]
    ShiftRight,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("!")]
    Exclamation,
    #[token("~")]
    Tilde,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    #[token("/*", block_comment)]
    Comment,
    /// Anything else; a word if letters that names do not have are in it.
    #[regex(
        r"[A-Za-z0-9_]*[^\x00-\x7F\u{feff}]([A-Za-z0-9_]|[^\x00-\x7F])*",
        priority = 1
    )]
    Unknown,
    /// The end of the text.
    End,
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

/// A text, cut.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    /// The tokens; the last one is [`Token::End`].
    pub(crate) lexemes: Vec<Lexeme>,
    /// For each token the range in `comments` of those directly in front of it.
    pub(crate) before: Vec<Range<usize>>,
    pub(crate) comments: Vec<Comment>,
}

/// Cuts a text.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut out = Lexed::default();
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
        let token = token.unwrap_or(Token::Unknown);
        out.lexemes.push(Lexeme { token, range });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        lex(text).lexemes.into_iter().map(|it| it.token).collect()
    }

    #[test]
    fn cuts_tokens() {
        use Token::*;
        assert_eq!(
            tokens("long a[0..7]; x->y /* c */ L\"w\" 'c' 1.5 0x1F"),
            [
                Word,
                Word,
                OpenBracket,
                Number,
                Range,
                Number,
                CloseBracket,
                Semicolon,
                Word,
                Arrow,
                Word,
                WideText,
                Character,
                Float,
                Number,
                End
            ]
        );
        assert_eq!(tokens("é"), [Unknown, End]);
        assert_eq!(
            tokens("a << b >= c"),
            [Word, ShiftLeft, Word, GreaterEqual, Word, End]
        );
    }

    #[test]
    fn keeps_what_a_uuid_is_made_of() {
        let lexed = lex("12345778-1e-12-ABCD-00e1");
        let first = lexed.lexemes.first().unwrap().range.clone();
        let last = lexed.lexemes[lexed.lexemes.len() - 2].range.clone();
        assert_eq!((first.start, last.end), (0, 24));
    }
}
