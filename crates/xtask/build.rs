//! Tells the code which target it was built for: libFuzzer's build must name it, or build scripts would be instrumented too.

fn main() {
    println!("cargo:rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
}
