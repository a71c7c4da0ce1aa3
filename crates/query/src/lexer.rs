//! Text of a query as tokens.

use crate::Error;

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub at: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A name, keywords and operators in letters included.
    Word(String),
    Number(f64),
    /// Milliseconds.
    Duration(i64),
    Text(String),
    Sign(&'static str),
    End,
}

impl Kind {
    /// As an error shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("{word:?}"),
            Self::Number(number) => format!("number {number}"),
            Self::Duration(ms) => format!("duration of {} s", *ms as f64 / 1000.0),
            Self::Text(text) => format!("string {text:?}"),
            Self::Sign(sign) => format!("{sign:?}"),
            Self::End => "end of input".into(),
        }
    }
}

const SIGNS: [&str; 24] = [
    "=~", "!~", "!=", "==", ">=", "<=", "(", ")", "{", "}", "[", "]", ",", "=", ">", "<", "+", "-", "*", "/",
    "%", "^", "@", ":",
];

pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        if first == '#' {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = token(text, at)?;
        tokens.push(Token { kind, at });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, at });
    Ok(tokens)
}

fn token(text: &str, at: usize) -> Result<(Kind, usize), Error> {
    let rest = &text[at..];
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_ascii_alphabetic() || first == '_' || (first == ':' && starts_word(&rest[1..])) {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        let word = &rest[..end.unwrap_or(rest.len())];
        return Ok((Kind::Word(word.to_owned()), word.len()));
    }
    if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return number(rest).ok_or_else(|| Error::parse(text, at, "bad number or duration syntax"));
    }
    if let '"' | '\'' | '`' = first {
        return string(rest, first).map_err(|why| Error::parse(text, at, why));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Kind::Sign(sign), sign.len())),
        None => Err(Error::parse(text, at, format!("unexpected character: {first:?}"))),
    }
}

fn starts_word(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// A number, or a duration such as `1h30m`.
fn number(rest: &str) -> Option<(Kind, usize)> {
    let lower = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let mut end = rest.find(|c: char| !lower(c)).unwrap_or(rest.len());
    let hexadecimal = rest.starts_with("0x") || rest.starts_with("0X");
    if hexadecimal {
        let number = u64::from_str_radix(&rest[2..end], 16).ok()?;
        return Some((Kind::Number(number as f64), end));
    }
    // The sign of an exponent.
    if rest[..end].ends_with(['e', 'E']) && rest[end..].starts_with(['+', '-']) {
        let digits = &rest[end + 1..];
        end += 1 + digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    }
    let word = &rest[..end];
    let numeric = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    if word.chars().all(numeric) {
        return word.parse().ok().map(|number| (Kind::Number(number), end));
    }
    Some((Kind::Duration(crate::parser::duration_ms(word)?), end))
}

/// A quoted string and its length with quotes.
fn string(rest: &str, quote: char) -> Result<(Kind, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character == quote => return Ok((Kind::Text(text), at + 1)),
            '\n' if quote != '`' => break,
            '\\' if quote != '`' => {
                let (_, escaped) = characters.next().ok_or("unterminated quoted string")?;
                text.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    '\\' | '"' | '\'' => escaped,
                    other => return Err(format!("unknown escape sequence {other:?}")),
                });
            }
            other => text.push(other),
        }
    }
    Err("unterminated quoted string".into())
}
