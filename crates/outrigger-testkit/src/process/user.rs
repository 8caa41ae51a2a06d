//! The user that servers run as when the tests run as root: Postgres and MariaDB refuse root, and the others need it no more.

use std::fs;

#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// `nobody` when we are root, else `None`.
pub(crate) fn to_drop_to() -> Option<User> {
    if !is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let nobody = passwd.lines().find_map(|line| {
        let mut fields = line.strip_prefix("nobody:")?.split(':').skip(1);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    });
    Some(nobody.unwrap_or(User { uid: 65_534, gid: 65_534 }))
}

#[allow(unsafe_code, reason = "geteuid(2) has no safe wrapper in std")]
fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, cannot fail and touches no memory.
    unsafe { libc::geteuid() == 0 }
}
