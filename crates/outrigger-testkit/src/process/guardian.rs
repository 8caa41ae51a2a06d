//! The guardian: a shell that outlives the test process by a moment and clears up what that left.

use std::{
    fs,
    io::Write,
    os::{
        fd::{AsRawFd, RawFd},
        unix::{fs::PermissionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::OnceLock,
};

/// Reads `+ group` and `- group`; at the end of its input, asks the groups that remain to go, insists after three
/// seconds, and removes the folder. Asking first lets Postgres free its shared memory.
const SCRIPT: &str = r#"
PATH=$PATH:/usr/bin:/bin
groups=' '
while read -r verb id; do
  case $verb in
    +) groups="$groups$id " ;;
    -) case $groups in *" $id "*) groups="${groups%% "$id" *} ${groups#* "$id" }" ;; esac ;;
  esac
done
for id in $groups; do kill -s TERM -- "-$id"; done
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
  left=
  for id in $groups; do kill -s 0 -- "-$id" && left=yes; done
  [ "$left" ] || break
  sleep 0.1
done
for id in $groups; do kill -s KILL -- "-$id"; done
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" && break; sleep 0.1; done
"#;

struct Guardian {
    folder: PathBuf,
    shell: Child,
}

impl Guardian {
    fn pipe(&self) -> &ChildStdin {
        self.shell.stdin.as_ref().expect("the guardian's input is a pipe that nobody takes")
    }
}

/// The folder that holds every temporary folder of this process.
pub(crate) fn folder() -> &'static Path {
    &guardian().folder
}

/// Where a child reports itself between fork and exec, so that no moment is unguarded.
pub(super) fn pipe() -> RawFd {
    guardian().pipe().as_raw_fd()
}

/// Tells the guardian that a group is gone, and that its number may come to belong to a stranger.
pub(super) fn forget(group: u32) {
    // One short write is atomic on a pipe. The guardian may have been killed by hand: nothing to do about that then.
    let _ = guardian().pipe().write_all(format!("- {group}\n").as_bytes());
}

fn guardian() -> &'static Guardian {
    static GUARDIAN: OnceLock<Guardian> = OnceLock::new();
    GUARDIAN.get_or_init(|| {
        let folder = tempfile::Builder::new()
            .prefix("outrigger-test-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a folder in {}: {error}", std::env::temp_dir().display()))
            .keep();
        // Servers run as another user and must get through.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).expect("own folder's mode");
        // Its own group: Ctrl-C on the tests must not reach it. No output of ours: nobody waits for it to close.
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "outrigger-testkit-guardian"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start /bin/sh: {error}"));
        Guardian { folder, shell }
    })
}
