//! `cargo bench -p bench -- <scenario>`: see `bench/README.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench::main()
}
