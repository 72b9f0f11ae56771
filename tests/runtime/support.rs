//! What the tests of all runtimes need.

use std::{
    fs,
    future::Future,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use libtest_mimic::Trial;
use probity::runtime::{Instance, Start};

/// A test whose name is a sentence.
pub(crate) fn trial<T: Future<Output = ()>>(sentence: &str, test: impl FnOnce() -> T + Send + 'static) -> Trial {
    Trial::test(sentence, move || {
        wait(test());
        Ok(())
    })
}

/// Runs something to its end.
pub(crate) fn wait<T>(task: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(task)
}

/// This executable, which is also the gateway.
pub(crate) fn toy() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// How the toy gateway is started, with these words more in its environment.
pub(crate) fn start(mode: &str, env: &[(&str, &str)]) -> Start {
    let mut all = vec![("TOY".to_owned(), mode.to_owned())];
    all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Start {
        command: Vec::new(),
        env: all,
        files: Vec::new(),
        image: None,
        ready_path: "/health".to_owned(),
        ready_within: Duration::from_secs(20),
        stops_within: Duration::from_secs(10),
    }
}

/// The body of a GET.
pub(crate) async fn get(base: &str, path: &str) -> String {
    try_get(base, path).await.unwrap()
}

/// As [`get`], of a gateway that may not live to answer.
pub(crate) async fn try_get(base: &str, path: &str) -> reqwest::Result<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    client.get(format!("{base}{path}")).send().await?.text().await
}

/// Waits until a gateway that nobody stopped has ended; how it did.
pub(crate) async fn end(gateway: &mut dyn Instance) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(how) = gateway.exited().await {
            return how;
        }
        assert!(Instant::now() < deadline, "nobody noticed its end");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Panics without a word: the panic is what is tested.
pub(crate) fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("as expected"))
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "in ten seconds it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether a process runs no more; what only waits to be collected does not run.
pub(crate) fn is_gone(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit_once(')').is_none_or(|(_, state)| state.trim_start().starts_with('Z')))
}

/// The numbers that toys have written to a file.
pub(crate) fn pids(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}
