//! Reads Rust source as far as the layer laws need it: words and paths, without comments,
//! strings and code that exists for tests alone.
//!
//! This is a tokenizer, not a parser: it knows `use` trees, `mod` blocks and `#[cfg(test)]`.

/// Words that no path begins with.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "box", "break", "const", "continue", "dyn", "else", "enum", "extern",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "static", "struct", "trait", "type", "unsafe", "use", "where", "while", "yield",
];

/// One word or sign of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// A path that a source file names: `crate::error::At`, `std::fs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The words of the path; the first is empty for a path that starts with `::`.
    pub(crate) words: Vec<String>,
    /// The line it stands on, from 1.
    pub(crate) line: usize,
    /// The `mod` blocks of this file that it stands in.
    pub(crate) within: Vec<String>,
}

/// Every path that `source` names outside of tests, `use` trees expanded.
pub(crate) fn paths(source: &str) -> Vec<Named> {
    let tokens = without_tests(tokens(source));
    let mut walk = Walk {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
        blocks: Vec::new(),
    };
    walk.file();
    walk.found
}

/// The modules that a file declares with `mod name;`, in order; those for tests left out.
pub(crate) fn modules(source: &str) -> Vec<String> {
    let tokens = without_tests(tokens(source));
    let declared = tokens
        .windows(3)
        .filter(|three| three[0].text == "mod" && three[2].text == ";");
    declared.map(|three| three[1].text.clone()).collect()
}

/// The functions with a body: name, line and length in lines.
pub(crate) fn functions(source: &str) -> Vec<(String, usize, usize)> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].text != "fn" {
            continue;
        }
        let Some(name) = tokens.get(at + 1).filter(|name| is_word(&name.text)) else {
            continue;
        };
        let Some(last) = tokens.get(item_end(&tokens, at) - 1) else {
            continue;
        };
        found.push((
            name.text.clone(),
            tokens[at].line,
            last.line + 1 - tokens[at].line,
        ));
    }
    found
}

/// A walk over the tokens of one file.
struct Walk<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Vec<Named>,
    /// One entry for each open brace: the module it opens, if it opens one.
    blocks: Vec<Option<String>>,
}

impl Walk<'_> {
    fn file(&mut self) {
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "{" => {
                    self.blocks.push(self.opened_module());
                    self.at += 1;
                }
                "}" => {
                    self.blocks.pop();
                    self.at += 1;
                }
                "::" if self.goes_on() => self.at += 1,
                "::" => self.path(vec![String::new()]),
                word if is_word(word) && !KEYWORDS.contains(&word) => self.path(Vec::new()),
                _ => self.at += 1,
            }
        }
    }

    /// Whether the `::` we stand on goes on from a type in angle brackets: `<T as A>::b`, but not
    /// `-> ::b`.
    fn goes_on(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.tokens.get(at));
        let is = |back: usize, sign: &str| before(back).is_some_and(|token| token.text == sign);
        is(1, ">") && !is(2, "-") && !is(2, "=")
    }

    /// The module whose block opens at the brace we stand on.
    fn opened_module(&self) -> Option<String> {
        let before = self.tokens.get(self.at.checked_sub(2)?..self.at)?;
        (before[0].text == "mod").then(|| before[1].text.clone())
    }

    /// Reads a path that goes on from `prefix`, and the tree behind it if there is one.
    fn path(&mut self, mut prefix: Vec<String>) {
        let line = self.tokens[self.at].line;
        loop {
            match self.text(0) {
                "::" => self.at += 1,
                "{" if self.text_before() == "::" => return self.tree(&prefix),
                word if is_word(word) && (prefix.is_empty() || self.text_before() == "::") => {
                    prefix.push(word.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        let within = self.blocks.iter().flatten().cloned().collect();
        self.found.push(Named {
            words: prefix,
            line,
            within,
        });
    }

    /// Reads the braces of a `use` tree.
    fn tree(&mut self, prefix: &[String]) {
        self.at += 1;
        while self.at < self.tokens.len() {
            match self.text(0) {
                "}" => {
                    self.at += 1;
                    return;
                }
                "{" => self.tree(prefix),
                "as" => self.at += 2,
                word if is_word(word) => self.branch(prefix),
                _ => self.at += 1,
            }
        }
    }

    /// Reads one branch of a `use` tree: the word we stand on goes on from `prefix`.
    fn branch(&mut self, prefix: &[String]) {
        let mut words = prefix.to_vec();
        words.push(self.text(0).to_owned());
        self.at += 1;
        if self.text(0) == "::" {
            return self.path(words);
        }
        let line = self.tokens[self.at - 1].line;
        let within = self.blocks.iter().flatten().cloned().collect();
        self.found.push(Named {
            words,
            line,
            within,
        });
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .map_or("", |token| &token.text)
    }

    fn text_before(&self) -> &str {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map_or("", |token| &token.text)
    }
}

/// Whether a token is a word (identifier, keyword or number).
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphanumeric() || first == '_')
}

/// Leaves out every item under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let here = tokens[at..]
            .iter()
            .take(MARK.len())
            .map(|token| token.text.as_str());
        if here.eq(MARK) {
            at = item_end(&tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that starts at `at` ends: behind its `;` or its outermost braces.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            ";" if depth == 0 => return at,
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return at;
                }
            }
            _ => {}
        }
    }
    at
}

/// Cuts source into words and signs; comments, strings and characters are left out.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at),
            '\'' => quote_end(&chars, at),
            'r' | 'b' | 'c' if literal_start(&chars, at).is_some() => {
                literal_end(&chars, literal_start(&chars, at).unwrap_or(at))
            }
            first if first.is_alphanumeric() || first == '_' => {
                let end = word_end(&chars, at);
                found.push(Token {
                    text: chars[at..end].iter().collect(),
                    line,
                });
                end
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                found.push(Token {
                    text: "::".to_owned(),
                    line,
                });
                at + 2
            }
            sign if !sign.is_whitespace() => {
                found.push(Token {
                    text: sign.to_string(),
                    line,
                });
                at + 1
            }
            _ => at + 1,
        };
        line += chars[at..end].iter().filter(|&&one| one == '\n').count();
        at = end;
    }
    found
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..]
        .iter()
        .position(|&one| one == '\n')
        .map_or(chars.len(), |length| at + length)
}

fn word_end(chars: &[char], at: usize) -> usize {
    let word = |one: &char| one.is_alphanumeric() || *one == '_';
    chars[at..]
        .iter()
        .position(|one| !word(one))
        .map_or(chars.len(), |length| at + length)
}

/// Behind a block comment; they nest.
fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// Behind a string that opens at `at`, escapes respected.
fn string_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// Behind a character literal, or behind the quote of a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars
            .get(at + 3..)
            .and_then(|rest| rest.iter().position(|&one| one == '\''));
        return close.map_or(chars.len(), |length| at + 4 + length);
    }
    if chars.get(at + 2) == Some(&'\'') {
        at + 3
    } else {
        at + 1
    }
}

/// For `r"`, `r#"`, `b"`, `br#"`, `b'`, `c"`: where the quote or the first `#` stands.
fn literal_start(chars: &[char], at: usize) -> Option<usize> {
    let prefix = chars[at..]
        .iter()
        .take_while(|one| matches!(one, 'r' | 'b' | 'c'))
        .count();
    let start = at + prefix;
    let hashes = chars
        .get(start..)?
        .iter()
        .take_while(|&&one| one == '#')
        .count();
    let opens = match chars.get(start + hashes)? {
        '"' => true,
        '\'' => hashes == 0 && prefix == 1 && chars[at] == 'b',
        _ => false,
    };
    (prefix <= 2 && opens).then_some(start)
}

/// Behind the literal whose quote or first `#` stands at `start`.
fn literal_end(chars: &[char], start: usize) -> usize {
    let hashes = chars[start..].iter().take_while(|&&one| one == '#').count();
    if chars.get(start) == Some(&'\'') {
        return quote_end(chars, start);
    }
    let raw = hashes > 0 || start.checked_sub(1).is_some_and(|at| chars[at] == 'r');
    if !raw {
        return string_end(chars, start);
    }
    let mut at = start + hashes + 1;
    while at < chars.len() {
        let closing = chars[at..].iter().skip(1).take(hashes);
        if chars[at] == '"' && closing.filter(|&&one| one == '#').count() == hashes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    chars.len()
}

#[cfg(test)]
mod tests;
