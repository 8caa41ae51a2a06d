//! Who may ask: only by a name that is the agent's own, and with the token if there is one. Probes stay open.
//!
//! A page in a browser can ask the agent for what it shows, and read the answer, if its own name was bound to the agent's
//! address after it was loaded (DNS rebinding). The browser then names that name in `Host`, so one that the agent does not
//! know is refused. Addresses are no names, and cannot be bound to anything.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};
use tokio::sync::watch;

use crate::config::Settings;

/// Who may ask, as the settings say it.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    names: Vec<String>,
    /// The digest of the token: equally long whatever the token is, and of no use to whoever finds it.
    token: Option<Vec<u8>>,
    /// Whether metrics are served without the token.
    metrics_are_open: bool,
    /// Whether metrics are served by any name: whoever is let in by the network may call the agent as their DNS does.
    metrics_have_names: bool,
}

impl Guard {
    pub(crate) fn new(settings: &Settings) -> Self {
        let page = settings.tell.page_url.as_ref().and_then(|url| url.host()).map(str::to_owned);
        Self {
            names: settings.allowed_hosts.iter().cloned().chain(page).collect(),
            token: settings.api_token.as_ref().map(|token| digest(&SHA256, token.bytes()).as_ref().to_vec()),
            metrics_are_open: settings.metrics_unprotected,
            metrics_have_names: !settings.listen.ip().is_loopback(),
        }
    }

    /// Why a request is refused, if it is.
    fn refuse(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        if path == "/-/healthy" || path == "/-/ready" {
            return None;
        }
        let is_metrics = path == "/metrics";
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !(self.knows(host) || is_metrics && self.metrics_have_names) {
            let text = "the agent does not know itself by the name in `Host`; ask by its address, or add the name to \
                        `allowed_hosts` (OUTRIGGER_ALLOWED_HOSTS)\n";
            return Some((StatusCode::FORBIDDEN, text).into_response());
        }
        if is_metrics && self.metrics_are_open || self.token.as_ref().is_none_or(|token| has(token, headers)) {
            return None;
        }
        // A browser then asks its user for a name, which does not matter, and the token.
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"outrigger\"")];
        let text = "send the header Authorization: Bearer and the agent's api_token\n";
        Some((StatusCode::UNAUTHORIZED, challenge, text).into_response())
    }

    /// Whether a `Host` is an address or a name of this agent.
    fn knows(&self, host: &str) -> bool {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((address, _)) = bracketed {
            // A zone says by which interface the address is reached.
            let address = address.split('%').next().unwrap_or_default();
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = host.split(':').next().unwrap_or_default();
        let name = name.strip_suffix('.').unwrap_or(name);
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        name.parse::<IpAddr>().is_ok() || is("localhost") || self.names.iter().any(|known| is(known))
    }
}

/// Whether the headers carry the token with this digest. Digests are compared in full, so that the time says nothing.
fn has(token: &[u8], headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    let Some((scheme, credentials)) =
        given.iter().position(|byte| *byte == b' ').and_then(|at| given.split_at_checked(at))
    else {
        return false;
    };
    // A token may be of any letters.
    let credentials = credentials.trim_ascii();
    let given = if scheme.eq_ignore_ascii_case(b"bearer") {
        credentials.to_vec()
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        let plain = std::str::from_utf8(credentials).ok().and_then(from_base64).unwrap_or_default();
        plain.iter().position(|byte| *byte == b':').and_then(|at| plain.get(at + 1..)).unwrap_or_default().to_vec()
    } else {
        return false;
    };
    let given = digest(&SHA256, &given);
    let differences = given.as_ref().iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differences) == 0 && given.as_ref().len() == token.len()
}

/// [Base64](https://www.rfc-editor.org/rfc/rfc4648#section-4), padded or not.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0_u32, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(six)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Lets a request through, or refuses it.
pub(super) async fn guard(
    Shared(guard): Shared<watch::Receiver<Arc<Guard>>>,
    request: Request,
    next: Next,
) -> Response {
    let guard = Arc::clone(&guard.borrow());
    match guard.refuse(request.uri().path(), request.headers()) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(toml: &str, path: &str, headers: &[(header::HeaderName, &str)]) -> u16 {
        let settings = Settings::from_toml(toml).unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        Guard::new(&settings).refuse(path, &headers).map_or(200, |refused| refused.status().as_u16())
    }

    #[test]
    fn only_names_of_the_agent_are_answered() {
        let named = "allowed_hosts = ['agent.shop']\ntell.page_url = 'https://outrigger.example/shop'";
        for (toml, host, status) in [
            ("", "localhost:9465", 200),
            ("", "LOCALHOST", 200),
            ("", "127.0.0.1:9465", 200),
            ("", "10.1.2.3", 200),
            ("", "[::1]:9465", 200),
            ("", "evil.example:9465", 403),
            ("", "localhost.evil.example", 403),
            ("", "[evil]:1", 403),
            ("", "[fe80::1%eth0]:9465", 200),
            ("", "[fe80::1%25eth0]", 200),
            ("", "[%eth0]", 403),
            ("", "", 403),
            (named, "agent.shop:9465", 200),
            (named, "outrigger.example", 200),
            (named, "evil.example", 403),
        ] {
            for path in ["/", "/api/v1/incidents", "/metrics"] {
                assert_eq!(answer(toml, path, &[(header::HOST, host)]), status, "{host} {path}");
            }
            assert_eq!(answer(toml, "/-/healthy", &[(header::HOST, host)]), 200, "{host}");
        }
        let open = "listen = '0.0.0.0:9465'\nlisten_unprotected = true";
        let host = [(header::HOST, "agent.shop.svc:9465")];
        assert_eq!((answer(open, "/metrics", &host), answer(open, "/", &host)), (200, 403));
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let host = (header::HOST, "localhost");
        let toml = "listen = '0.0.0.0:9465'\napi_token = 'pass:word'";
        let with = |given: &str| answer(toml, "/", &[host.clone(), (header::AUTHORIZATION, given)]);
        for (given, status) in [
            ("Bearer pass:word", 200),
            ("bearer pass:word", 200),
            // me:pass:word
            ("Basic bWU6cGFzczp3b3Jk", 200),
            ("Basic cGFzczp3b3Jk", 401),
            ("Basic ?", 401),
            ("Bearer pass:wore", 401),
            ("Bearer ", 401),
            ("pass:word", 401),
        ] {
            assert_eq!(with(given), status, "{given}");
        }
        assert_eq!(answer(toml, "/metrics", std::slice::from_ref(&host)), 401);
        assert_eq!(answer(toml, "/-/ready", &[]), 200);
        let open = format!("{toml}\nmetrics_unprotected = true");
        assert_eq!((answer(&open, "/metrics", std::slice::from_ref(&host)), answer(&open, "/", &[host])), (200, 401));
    }

    #[test]
    fn blanks_around_a_token_do_not_matter_and_it_may_be_of_any_letters() {
        let folder = outrigger_testkit::Folder::new("guard");
        let path = folder.write("token", " gehe\u{ef}m \t\n".as_bytes());
        let file = format!("api_token_file = '{}'", path.display());
        for toml in [file.as_str(), "api_token = ' gehe\u{ef}m '"] {
            let guard = Guard::new(&Settings::from_toml(toml).unwrap());
            // me:geheïm
            for (given, is_let_in) in [
                ("Bearer gehe\u{ef}m", true),
                ("Basic bWU6Z2VoZcOvbQ==", true),
                ("Bearer geheim", false),
                ("Bearer", false),
            ] {
                let given = header::HeaderValue::from_bytes(given.as_bytes()).unwrap();
                let headers = [(header::HOST, "localhost".parse().unwrap()), (header::AUTHORIZATION, given.clone())];
                let refused = guard.refuse("/", &headers.into_iter().collect());
                assert_eq!(refused.is_none(), is_let_in, "{given:?}");
            }
        }
        let blank = folder.write("blank", b" \t\n");
        for toml in [format!("api_token_file = '{}'", blank.display()), "api_token = '  '".to_owned()] {
            let error = Settings::from_toml(&toml).unwrap_err().to_string();
            assert!(error.contains("it is blank"), "{error}");
        }
        assert_eq!(Settings::from_toml("api_token = ''").unwrap().api_token, None);
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,40}") {
            let _ = from_base64(&text);
            let _ = answer("api_token = 'a'", "/", &[(header::HOST, &text), (header::AUTHORIZATION, &text)]);
        }
    }
}
