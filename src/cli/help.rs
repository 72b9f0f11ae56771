//! `probity help exit-codes`.

use crate::exit::Exit;

/// The table of exit codes.
#[must_use]
pub fn exit_codes() -> String {
    Exit::ALL.iter().map(|exit| format!("{:>3}  {}\n", exit.code(), exit.meaning())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_explained() {
        insta::assert_snapshot!(exit_codes());
    }
}
