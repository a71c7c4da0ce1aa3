//! From tokens to a tree, by precedence climbing.

use crate::Error;
use crate::expression::{
    COMPARISONS, Expression, Grouping, Many, Moment, SETS, Selector, Shift, Type, VectorMatching,
};
use crate::labels::NAME;
use crate::lexer::{Kind, Token, tokens};
use crate::matching::{Matcher, Relation};
use crate::signature;

/// Longest query, in bytes, and how deep it may be nested.
const LONGEST: usize = 64 << 10;
const DEEPEST: usize = 100;
/// Longest duration: a century.
const LONGEST_MS: i64 = 100 * 366 * 86_400_000;

/// Reads a query.
///
/// # Errors
/// [`Error::Parse`] with the place and what is wrong, unknown functions and arguments of a wrong type included.
pub fn parse(text: &str) -> Result<Expression, Error> {
    let mut parser = Parser::new(text)?;
    let expression = parser.expression(0)?;
    match parser.peek() {
        Kind::End => Ok(expression),
        other => Err(parser.wrong(format!("unexpected {}", other.shown()))),
    }
}

/// Reads a selector of series, such as the parameter `match[]` has.
///
/// # Errors
/// [`Error::Parse`], also if it is another expression.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, Error> {
    match parse(text)? {
        Expression::Instant(selector) => Ok(selector.matchers),
        _ => Err(Error::parse(text, 0, "expected a selector such as up{job=\"node\"}")),
    }
}

/// Milliseconds of a duration such as `1h30m`.
#[must_use]
pub fn duration_ms(text: &str) -> Option<i64> {
    let (mut total, mut rest) = (0i64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| at + digits);
        let unit = match &rest[digits..unit_end] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            "y" => 365 * 86_400_000,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[unit_end..];
    }
    (!text.is_empty() && total <= LONGEST_MS).then_some(total)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    selectors: usize,
    depth: usize,
}

/// Operators with how tightly they bind.
const OPERATORS: [(&str, u8); 16] = [
    ("or", 1),
    ("and", 2),
    ("unless", 2),
    ("==", 3),
    ("!=", 3),
    (">", 3),
    ("<", 3),
    (">=", 3),
    ("<=", 3),
    ("+", 4),
    ("-", 4),
    ("*", 5),
    ("/", 5),
    ("%", 5),
    ("atan2", 5),
    ("^", 6),
];

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::parse(text, 0, format!("a query has at most {LONGEST} bytes")));
        }
        Ok(Self { text, tokens: tokens(text)?, next: 0, selectors: 0, depth: 0 })
    }

    fn peek(&self) -> &Kind {
        &self.tokens[self.next.min(self.tokens.len() - 1)].kind
    }

    fn advance(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn wrong(&self, why: impl Into<String>) -> Error {
        Error::parse(self.text, self.tokens[self.next.min(self.tokens.len() - 1)].at, why)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(other) if *other == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &str, place: &str) -> Result<(), Error> {
        if self.eat(sign) {
            return Ok(());
        }
        Err(self.wrong(format!("unexpected {} in {place}, expected {sign:?}", self.peek().shown())))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Kind::Word(other) if other.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn expression(&mut self, least: u8) -> Result<Expression, Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.wrong(format!("nested more than {DEEPEST} deep")));
        }
        let mut left = self.unary()?;
        while let Some((operator, binds)) = self.operator().filter(|(_, binds)| *binds > least) {
            let at = self.next;
            self.next += 1;
            let matching = self.matching(operator)?;
            // Only powers bind to the right.
            let right = self.expression(if operator == "^" { binds - 1 } else { binds })?;
            left = self.binary(at, operator, (left, right), matching)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let written = match self.peek() {
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::Word(word) => word.to_ascii_lowercase(),
            _ => return None,
        };
        OPERATORS.into_iter().find(|(operator, _)| *operator == written)
    }

    fn binary(
        &mut self,
        at: usize,
        operator: &'static str,
        sides: (Expression, Expression),
        matching: VectorMatching,
    ) -> Result<Expression, Error> {
        let types = (sides.0.of_type(), sides.1.of_type());
        let wrong = |why: &str| Err(Error::parse(self.text, self.tokens[at].at, why));
        let fine = |one: Type| matches!(one, Type::Scalar | Type::Vector);
        if !fine(types.0) || !fine(types.1) {
            return wrong("binary expression must contain only scalar and instant vector types");
        }
        let scalars = types.0 == Type::Scalar || types.1 == Type::Scalar;
        if SETS.contains(&operator) && scalars {
            return wrong(&format!("set operator {operator:?} not allowed in binary scalar expression"));
        }
        if COMPARISONS.contains(&operator) && types == (Type::Scalar, Type::Scalar) && !matching.boolean {
            return wrong("comparisons between scalars must use BOOL modifier");
        }
        if scalars && (matching.on || !matching.labels.is_empty() || matching.many.is_some()) {
            return wrong("vector matching only allowed between instant vectors");
        }
        Ok(Expression::Binary { operator, sides: Box::new(sides), matching })
    }

    fn matching(&mut self, operator: &str) -> Result<VectorMatching, Error> {
        let mut matching = VectorMatching::default();
        if self.eat_word("bool") {
            if !COMPARISONS.contains(&operator) {
                return Err(self.wrong("bool modifier can only be used on comparison operators"));
            }
            matching.boolean = true;
        }
        matching.on = self.eat_word("on");
        if matching.on || self.eat_word("ignoring") {
            matching.labels = self.names()?;
            let many = match () {
                () if self.eat_word("group_left") => Some(Many::Left),
                () if self.eat_word("group_right") => Some(Many::Right),
                () => None,
            };
            if many.is_some() {
                if SETS.contains(&operator) {
                    return Err(self.wrong(format!("no grouping allowed for {operator:?} operation")));
                }
                matching.many = many;
                if self.is("(") {
                    matching.include = self.names()?;
                }
            }
        }
        Ok(matching)
    }

    /// Names of labels in parentheses.
    fn names(&mut self) -> Result<Vec<String>, Error> {
        self.expect("(", "grouping opts")?;
        let mut names = Vec::new();
        while !self.eat(")") {
            match self.advance() {
                Kind::Word(name) if !name.contains(':') => names.push(name),
                other => {
                    self.next -= 1;
                    return Err(
                        self.wrong(format!("unexpected {} in grouping opts, expected label", other.shown()))
                    );
                }
            }
            if !self.eat(",") && !self.is(")") {
                return Err(self.wrong("expected \",\" or \")\" in grouping opts"));
            }
        }
        Ok(names)
    }

    fn unary(&mut self) -> Result<Expression, Error> {
        if self.eat("+") {
            return self.expression(5);
        }
        if self.eat("-") {
            // A sign binds like a product: -2^2 is -4.
            let inner = self.expression(5)?;
            return match inner.of_type() {
                Type::Scalar | Type::Vector => Ok(Expression::Negative(Box::new(inner))),
                other => Err(self.wrong(format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                    other.name()
                ))),
            };
        }
        let mut expression = self.primary()?;
        loop {
            expression = if self.is("[") {
                self.range(expression)?
            } else if self.is("@")
                || matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case("offset"))
            {
                self.shifted(expression)?
            } else {
                return Ok(expression);
            };
        }
    }

    fn primary(&mut self) -> Result<Expression, Error> {
        match self.advance() {
            Kind::Number(number) => Ok(Expression::Number(number)),
            Kind::Duration(ms) => Ok(Expression::Number(ms as f64 / 1000.0)),
            Kind::Text(text) => Ok(Expression::Text(text)),
            Kind::Sign("(") => {
                let inner = self.expression(0)?;
                self.expect(")", "parentheses")?;
                Ok(inner)
            }
            Kind::Sign("{") => {
                self.next -= 1;
                self.selector(None)
            }
            Kind::Word(word) => self.word(&word),
            other => {
                self.next -= 1;
                Err(self.wrong(format!("unexpected {}", other.shown())))
            }
        }
    }

    /// A name: of an aggregation, a function, a number, or a metric.
    fn word(&mut self, word: &str) -> Result<Expression, Error> {
        let lower = word.to_ascii_lowercase();
        let grouped = matches!(self.peek(), Kind::Word(next) if ["by", "without"].contains(&next.to_ascii_lowercase().as_str()));
        if let Some((operator, parameter)) =
            signature::aggregation(&lower).filter(|_| self.is("(") || grouped)
        {
            return self.aggregation(operator, parameter);
        }
        if self.is("(") {
            let Some(function) = signature::function(word) else {
                self.next -= 1;
                return Err(self.wrong(format!("unknown function with name {word:?}, or not supported here")));
            };
            let at = self.next - 1;
            let arguments = self.arguments()?;
            let types: Vec<Type> = arguments.iter().map(Expression::of_type).collect();
            let checked = signature::check(function, &types);
            checked.map_err(|why| Error::parse(self.text, self.tokens[at].at, why))?;
            return Ok(Expression::Call { function, arguments });
        }
        match lower.as_str() {
            "inf" => Ok(Expression::Number(f64::INFINITY)),
            "nan" => Ok(Expression::Number(f64::NAN)),
            _ => self.selector(Some(word)),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Expression>, Error> {
        self.expect("(", "function call")?;
        let mut arguments = Vec::new();
        while !self.eat(")") {
            arguments.push(self.expression(0)?);
            if !self.eat(",") && !self.is(")") {
                return Err(self.wrong(format!("unexpected {} in function call", self.peek().shown())));
            }
        }
        Ok(arguments)
    }

    fn aggregation(&mut self, operator: &'static str, wanted: Option<Type>) -> Result<Expression, Error> {
        let at = self.next - 1;
        let before = self.grouping()?;
        let mut arguments = self.arguments()?;
        let after = if before.is_none() { self.grouping()? } else { None };
        let grouping = before.or(after).unwrap_or_default();
        let wrong = |why: String| Error::parse(self.text, self.tokens[at].at, why);
        let count = 1 + usize::from(wanted.is_some());
        if arguments.len() != count {
            let given = arguments.len();
            return Err(wrong(format!(
                "wrong number of arguments for aggregate expression {operator:?}: expected {count}, got {given}"
            )));
        }
        let inner = arguments.pop().unwrap_or(Expression::Number(0.0));
        if inner.of_type() != Type::Vector {
            let given = inner.of_type().name();
            return Err(wrong(format!(
                "expected type instant vector in aggregation expression, got {given}"
            )));
        }
        let parameter = arguments.pop();
        if let (Some(wanted), Some(given)) = (wanted, parameter.as_ref().map(Expression::of_type))
            && wanted != given
        {
            return Err(wrong(format!(
                "expected type {} in aggregation parameter, got {}",
                wanted.name(),
                given.name()
            )));
        }
        let (inner, parameter) = (Box::new(inner), parameter.map(Box::new));
        Ok(Expression::Aggregate { operator, inner, parameter, grouping })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, Error> {
        let without = self.eat_word("without");
        if !without && !self.eat_word("by") {
            return Ok(None);
        }
        Ok(Some(Grouping { without, labels: self.names()? }))
    }

    fn selector(&mut self, name: Option<&str>) -> Result<Expression, Error> {
        let mut matchers = Vec::new();
        let at = self.next;
        if let Some(name) = name {
            matchers.extend(Matcher::new(NAME, Relation::Equal, name));
        }
        if self.eat("{") {
            while !self.eat("}") {
                matchers.push(self.matcher()?);
                if !self.eat(",") && !self.is("}") {
                    let shown = self.peek().shown();
                    return Err(
                        self.wrong(format!("unexpected {shown} in label matching, expected \",\" or \"}}\""))
                    );
                }
            }
        }
        if matchers.iter().all(|matcher| matcher.accepts("")) {
            let why = "vector selector must contain at least one non-empty matcher";
            return Err(Error::parse(self.text, self.tokens[at.saturating_sub(1)].at, why));
        }
        let number = self.selectors;
        self.selectors += 1;
        Ok(Expression::Instant(Selector { number, matchers, shift: Shift::default() }))
    }

    fn matcher(&mut self) -> Result<Matcher, Error> {
        let name = match self.advance() {
            Kind::Word(name) => name,
            Kind::Text(name) => name,
            other => {
                self.next -= 1;
                return Err(
                    self.wrong(format!("unexpected {} in label matching, expected label", other.shown()))
                );
            }
        };
        let relation = match self.advance() {
            Kind::Sign("=") => Relation::Equal,
            Kind::Sign("!=") => Relation::NotEqual,
            Kind::Sign("=~") => Relation::Matches,
            Kind::Sign("!~") => Relation::MatchesNot,
            other => {
                self.next -= 1;
                return Err(self
                    .wrong(format!("unexpected {} in label matching, expected an operator", other.shown())));
            }
        };
        let Kind::Text(value) = self.advance() else {
            self.next -= 1;
            return Err(
                self.wrong(format!("unexpected {} in label matching, expected string", self.peek().shown()))
            );
        };
        Matcher::new(&name, relation, &value).map_err(|why| self.wrong(why))
    }

    /// `[5m]` or `[1h:5m]` behind an expression.
    fn range(&mut self, inner: Expression) -> Result<Expression, Error> {
        self.expect("[", "range")?;
        let range_ms = self.duration()?;
        if range_ms <= 0 {
            return Err(self.wrong("duration must be greater than 0"));
        }
        if self.eat(":") {
            let step_ms = if self.is("]") { 0 } else { self.duration()? };
            self.expect("]", "subquery")?;
            if !matches!(inner.of_type(), Type::Vector | Type::Scalar) {
                return Err(self.wrong("subquery is only allowed on instant vector"));
            }
            let shift = Shift::default();
            return Ok(Expression::Subquery { inner: Box::new(inner), range_ms, step_ms, shift });
        }
        self.expect("]", "range")?;
        match inner {
            Expression::Instant(selector) if selector.shift == Shift::default() => {
                Ok(Expression::Range { selector, range_ms })
            }
            _ => Err(self.wrong("ranges only allowed for vector selectors")),
        }
    }

    fn duration(&mut self) -> Result<i64, Error> {
        match self.advance() {
            Kind::Duration(ms) => Ok(ms),
            // Seconds, as newer versions of the language have it.
            Kind::Number(seconds) if (0.0..1e9).contains(&seconds) => Ok((seconds * 1000.0) as i64),
            other => {
                self.next -= 1;
                Err(self.wrong(format!("unexpected {}, expected duration", other.shown())))
            }
        }
    }

    /// `offset 5m` or `@ 1700000000` behind a selector or subquery.
    fn shifted(&mut self, mut inner: Expression) -> Result<Expression, Error> {
        let at = self.eat("@");
        self.next += usize::from(!at);
        let moment = if at { Some(self.moment()?) } else { None };
        let sign = if !at && self.eat("-") { -1 } else { 1 };
        let offset_ms = if at { 0 } else { sign * self.duration()? };
        let wrong =
            self.wrong("offset and @ must be preceded by a selector or a subquery, and each be there once");
        let shift = match &mut inner {
            Expression::Instant(selector) | Expression::Range { selector, .. } => &mut selector.shift,
            Expression::Subquery { shift, .. } => shift,
            _ => return Err(wrong),
        };
        if at && shift.at.is_some() || !at && shift.offset_ms != 0 {
            return Err(wrong);
        }
        shift.at = shift.at.or(moment);
        shift.offset_ms += offset_ms;
        Ok(inner)
    }

    fn moment(&mut self) -> Result<Moment, Error> {
        let sign = if self.eat("-") { -1.0 } else { 1.0 };
        match self.advance() {
            Kind::Number(seconds) if seconds.abs() < 9e12 => {
                Ok(Moment::Fixed((sign * seconds * 1000.0) as i64))
            }
            Kind::Word(word) if word == "start" || word == "end" => {
                self.expect("(", "@")?;
                self.expect(")", "@")?;
                Ok(if word == "start" { Moment::Start } else { Moment::End })
            }
            other => {
                self.next -= 1;
                Err(self.wrong(format!("unexpected {} in @, expected timestamp", other.shown())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
