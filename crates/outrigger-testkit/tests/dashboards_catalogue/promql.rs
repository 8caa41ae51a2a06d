//! Reads out of a PromQL expression which metrics and labels it names. No full parser: Prometheus is one, and every
//! expression runs through it elsewhere. What this does not understand is an error, so nothing slips by unread.

const AGGREGATIONS: &[&str] = &["sum", "min", "max", "avg", "count", "group", "topk", "bottomk", "stddev", "quantile"];
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset"];
const JOINS: &[&str] = &["on", "ignoring", "group_left", "group_right"];

#[derive(Debug, Default)]
pub(crate) struct Expression {
    pub(crate) selectors: Vec<Selector>,
    /// The labels of `on (...)` and its like.
    pub(crate) join_labels: Vec<String>,
    /// Comparisons with a number: the operator, and the number or the product of numbers that follows.
    pub(crate) comparisons: Vec<(String, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label, operator, value.
    pub(crate) matchers: Vec<(String, String, String)>,
    pub(crate) has_range: bool,
    /// The calls around it, outermost first.
    pub(crate) calls: Vec<Call>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    /// The function or aggregation; empty for plain parentheses.
    pub(crate) name: String,
    /// What `by (...)` keeps; `None` where all labels stay.
    pub(crate) by: Option<Vec<String>>,
    /// The numbers among its own arguments so far.
    pub(crate) numbers: Vec<f64>,
}

pub(crate) fn read(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { tokens: tokens(text)?, at: 0, calls: Vec::new(), found: Expression::default() };
    while reader.at < reader.tokens.len() {
        reader.step()?;
    }
    if reader.calls.is_empty() { Ok(reader.found) } else { Err("a parenthesis is not closed".into()) }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// A number, or a duration, which is kept as text.
    Number(Option<f64>),
    /// What stands in brackets.
    Range,
    Sign(String),
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    calls: Vec<Call>,
    found: Expression,
}

impl Reader {
    fn step(&mut self) -> Result<(), String> {
        match self.next()? {
            Token::Word(word) => self.word(word),
            Token::Number(number) => {
                if let (Some(number), Some(call)) = (number, self.calls.last_mut()) {
                    call.numbers.push(number);
                }
                Ok(())
            }
            Token::Sign(sign) => self.sign(&sign),
            // The step of a subquery, or a string argument.
            Token::Range | Token::Text(_) => Ok(()),
        }
    }

    fn word(&mut self, word: String) -> Result<(), String> {
        if OPERATORS.contains(&word.as_str()) {
            return Ok(());
        }
        if JOINS.contains(&word.as_str()) {
            let labels = if self.peek_sign("(") { self.labels()? } else { Vec::new() };
            self.found.join_labels.extend(labels);
            return Ok(());
        }
        if AGGREGATIONS.contains(&word.as_str()) && self.peek() == Some(&Token::Word("by".into())) {
            self.at += 1;
            let by = Some(self.labels()?);
            self.expect("(")?;
            self.calls.push(Call { name: word, by, numbers: Vec::new() });
            return Ok(());
        }
        if ["by", "without"].contains(&word.as_str()) {
            return Err(format!("`{word}` is only read as `sum by (label) (...)`"));
        }
        if self.peek_sign("(") {
            self.at += 1;
            // An aggregation without `by` keeps no label; these two keep the series as they are.
            let drops_all = AGGREGATIONS.contains(&word.as_str()) && !["topk", "bottomk"].contains(&word.as_str());
            self.calls.push(Call { name: word, by: drops_all.then(Vec::new), numbers: Vec::new() });
            return Ok(());
        }
        self.selector(word)
    }

    fn selector(&mut self, metric: String) -> Result<(), String> {
        let matchers = if self.peek_sign("{") { self.matchers()? } else { Vec::new() };
        let has_range = self.peek() == Some(&Token::Range);
        self.at += usize::from(has_range);
        self.found.selectors.push(Selector { metric, matchers, has_range, calls: self.calls.clone() });
        Ok(())
    }

    fn sign(&mut self, sign: &str) -> Result<(), String> {
        match sign {
            "(" => self.calls.push(Call { name: String::new(), by: None, numbers: Vec::new() }),
            ")" => {
                self.calls.pop().ok_or("a parenthesis is closed but never opened")?;
            }
            "{" => return Err("a selector without a metric name".into()),
            "==" | "!=" | ">" | "<" | ">=" | "<=" => {
                if let Some(number) = self.product() {
                    self.found.comparisons.push((sign.to_owned(), number));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The number that follows, or the product of those that do.
    fn product(&mut self) -> Option<f64> {
        let mut product = None;
        while let Some(Token::Number(Some(number))) = self.peek() {
            product = Some(product.unwrap_or(1.0) * number);
            self.at += 1;
            if !self.peek_sign("*") {
                break;
            }
            self.at += 1;
        }
        product
    }

    fn labels(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut labels = Vec::new();
        loop {
            match self.next()? {
                Token::Word(label) => labels.push(label),
                Token::Sign(sign) if sign == "," => {}
                Token::Sign(sign) if sign == ")" => return Ok(labels),
                other => return Err(format!("a list of labels holds {other:?}")),
            }
        }
    }

    fn matchers(&mut self) -> Result<Vec<(String, String, String)>, String> {
        self.expect("{")?;
        let mut matchers = Vec::new();
        loop {
            match self.next()? {
                Token::Word(label) => match (self.next()?, self.next()?) {
                    (Token::Sign(operator), Token::Text(value)) => matchers.push((label, operator, value)),
                    other => return Err(format!("after the label {label} comes {other:?}")),
                },
                Token::Sign(sign) if sign == "," => {}
                Token::Sign(sign) if sign == "}" => return Ok(matchers),
                other => return Err(format!("a selector holds {other:?}")),
            }
        }
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("it ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.next()? {
            Token::Sign(found) if found == sign => Ok(()),
            other => Err(format!("{other:?} stands where {sign} should")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if found == sign)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if first.is_whitespace() => first.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' | '`' => {
                let end = string_end(rest, first).ok_or("a string does not end")?;
                tokens.push(Token::Text(rest[1..end].to_owned()));
                end + 1
            }
            '[' => {
                tokens.push(Token::Range);
                rest.find(']').ok_or("a range does not end")? + 1
            }
            // `$__range_s` and its like stand for a number.
            '0'..='9' | '$' => {
                let end = end_of(rest, |c| c.is_ascii_alphanumeric() || "._$".contains(c));
                tokens.push(Token::Number(rest[..end].parse().ok()));
                end
            }
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                let end = end_of(rest, |c| c.is_ascii_alphanumeric() || "_:".contains(c));
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            _ => {
                let two = ["=~", "!~", "!=", "==", "<=", ">="].iter().any(|sign| rest.starts_with(sign));
                let one = "=<>+-*/%^(){},@".contains(first);
                let length = if two { 2 } else { 1 };
                if !two && !one {
                    return Err(format!("unexpected {first:?}"));
                }
                tokens.push(Token::Sign(rest[..length].to_owned()));
                length
            }
        };
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn string_end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, character)| {
        let ends = character == quote && !escaped;
        escaped = character == '\\' && !escaped && quote != '`';
        ends.then_some(at)
    })
}

fn end_of(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|character| !belongs(character)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_know_their_matchers_ranges_and_the_calls_around_them() {
        let read = read(r#"histogram_quantile(0.95, sum by (le, a) (rate(m_bucket{a=~"x|}", b!=""}[5m]))) > 2 * 0.5"#)
            .unwrap();
        let selector = &read.selectors[0];
        assert_eq!((selector.metric.as_str(), selector.has_range), ("m_bucket", true));
        let matcher = |label: &str, operator: &str, value: &str| (label.into(), operator.into(), value.into());
        assert_eq!(selector.matchers, [matcher("a", "=~", "x|}"), matcher("b", "!=", "")]);
        let calls: Vec<_> = selector.calls.iter().map(|call| (call.name.as_str(), call.by.clone())).collect();
        let by = Some(vec!["le".to_owned(), "a".to_owned()]);
        assert_eq!(calls, [("histogram_quantile", None), ("sum", by), ("rate", None)]);
        assert_eq!(selector.calls[0].numbers, [0.95]);
        assert_eq!(read.comparisons, [(">".to_owned(), 1.0)]);
    }

    #[test]
    fn joins_and_several_selectors() {
        let read = read("a:b:c > 1\nand on (job)\navg_over_time(d[1h]) / ignoring (x) e offset 1h").unwrap();
        let metrics: Vec<_> = read.selectors.iter().map(|selector| selector.metric.as_str()).collect();
        assert_eq!(metrics, ["a:b:c", "d", "e"]);
        assert_eq!(read.join_labels, ["job", "x"]);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in
            ["sum(a) by (b)", "sum without (b) (a)", "{job=\"x\"}", "sum(a", "a)", "a{b=c}", "a{b=\"c", "a & b", "a["]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
