//! What is told of a panic: where it was, and not its message, which may quote what a caller
//! or an administrator wrote.

use std::panic::PanicHookInfo;

/// From now on panics are told in the log, by their place.
pub(crate) fn tell_without_messages() {
    std::panic::set_hook(Box::new(tell));
}

fn tell(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "the gateway has a defect");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_told_by_its_place_and_without_its_message() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let before = std::panic::take_hook();
        tell_without_messages();
        let ended = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("a canary {}", "sang"))
        });
        std::panic::set_hook(before);
        assert!(ended.is_err());
        let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("panics.rs") && !told.contains("canary"), "{told}");
    }
}
