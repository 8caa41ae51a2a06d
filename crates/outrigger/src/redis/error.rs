//! What Redis' errors are called: a closed list, since a script can answer with any word.

use ::redis::{ErrorKind, RedisError};

/// The `error_type` of a failed command.
pub(crate) fn error_type(error: &RedisError) -> &'static str {
    if let Some(code) = error.code() {
        return of_server(code);
    }
    if error.is_timeout() {
        return "timeout";
    }
    match error.kind() {
        ErrorKind::Io => "io",
        ErrorKind::AuthenticationFailed => "auth",
        ErrorKind::Parse | ErrorKind::RESP3NotSupported => "protocol",
        ErrorKind::UnexpectedReturnType => "decode",
        ErrorKind::InvalidClientConfig | ErrorKind::Client => "client",
        ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList
        | ErrorKind::ClusterConnectionNotFound => "cluster",
        _ => "_OTHER",
    }
}

/// The `error_type` of an error that begins with this word.
pub(crate) fn of_server(code: &str) -> &'static str {
    PREFIXES.iter().find(|prefix| **prefix == code).copied().unwrap_or("_OTHER")
}

/// Of Redis' source and documentation.
const PREFIXES: &[&str] = &[
    "ERR",
    "WRONGTYPE",
    "OOM",
    "LOADING",
    "READONLY",
    "NOAUTH",
    "NOPERM",
    "WRONGPASS",
    "BUSY",
    "BUSYGROUP",
    "BUSYKEY",
    "NOSCRIPT",
    "NOGROUP",
    "NOPROTO",
    "NOREPLICAS",
    "NOTBUSY",
    "NOSUB",
    "NOGOODSLAVE",
    "NOMASTERLINK",
    "NOTREADY",
    "MASTERDOWN",
    "MISCONF",
    "EXECABORT",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "UNKILLABLE",
    "UNBLOCKED",
    "INPROG",
    "IOERR",
    "STALE",
    "DENIED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_outside_the_list_are_others() {
        assert_eq!(of_server("WRONGTYPE"), "WRONGTYPE");
        assert_eq!(of_server("user:42"), "_OTHER");
        assert_eq!(of_server(""), "_OTHER");
    }

    #[test]
    fn failures_of_the_client_have_kinds() {
        let of = |kind: std::io::ErrorKind| error_type(&RedisError::from(std::io::Error::from(kind)));
        assert_eq!(of(std::io::ErrorKind::ConnectionRefused), "io");
        assert_eq!(of(std::io::ErrorKind::TimedOut), "timeout");
        assert_eq!(error_type(&RedisError::from((ErrorKind::AuthenticationFailed, "no"))), "auth");
    }
}
