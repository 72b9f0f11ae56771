//! Gateways as processes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use libtest_mimic::Trial;
use probity::{
    runtime::{Instance, Kind, ProcessRuntime, Runtime, RuntimeError, Setup, Site, Start, choose},
    scenario::step::Signal,
};
use tempfile::TempDir;

use crate::support::{self, end, get, is_gone, panic_quietly, pids, trial, try_get, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("process: a gateway has its files, its environment and nothing else of the runner's", has_its_files),
        trial("process: a gateway that is stopped and started again has kept its data", keeps_its_data),
        trial("process: the memory of a gateway is that of whatever its command starts", memory_of_its_group),
        trial("process: a killed gateway was ended by signal 9", is_killed),
        trial("process: a gateway that ignores SIGTERM is killed when its time is over", ignores_term),
        trial("process: a gateway that ends at its start is reported with code and log", ends_at_start),
        trial("process: a gateway that never gets ready is reported and ended", never_ready),
        trial("process: a port that is taken is reported as such", port_taken),
        trial("process: a gateway that takes its port too late is reported as such", port_taken_meanwhile),
        trial("process: a command that does not exist is named", no_command),
        trial("process: a gateway that crashes is noticed", crashes),
        trial("process: a dropped gateway is gone with its children and its folder", dropped),
        trial("process: a discarded gateway is gone with its children and its folder", discarded),
        trial("process: a start that is cancelled leaves nothing behind", cancelled),
        trial("process: a panic leaves nothing behind", panics),
        trial("process: an output folder that cannot be written to is named", unwritable),
        trial("process: a runtime can be forced, and says that it was", forced),
    ]
}

struct World {
    out: TempDir,
    runtime: ProcessRuntime,
}

impl World {
    fn new() -> Self {
        let out = tempfile::tempdir().unwrap();
        Self { runtime: ProcessRuntime::new(out.path()).unwrap(), out }
    }

    async fn prepare(&self, mode: &str, env: &[(&str, &str)]) -> (Site, Start) {
        let site = self.runtime.site(None).await.unwrap();
        let start = start(&site, mode, env);
        (site, start)
    }

    async fn launch(&self, mode: &str, env: &[(&str, &str)]) -> Box<dyn Instance> {
        let (site, start) = self.prepare(mode, env).await;
        self.runtime.launch(site, start).await.unwrap()
    }

    /// Where toys write their process numbers.
    fn pids(&self) -> PathBuf {
        self.out.path().join("pids")
    }

    fn folders(&self) -> usize {
        fs::read_dir(self.out.path()).unwrap().filter(|it| it.as_ref().unwrap().path().is_dir()).count()
    }

    async fn nothing_is_left(&self, processes: usize) {
        let all = pids(&self.pids());
        assert_eq!(all.len(), processes);
        until("all processes are gone", || all.iter().all(|pid| is_gone(pid))).await;
        assert_eq!(self.folders(), 0);
    }
}

fn start(site: &Site, mode: &str, env: &[(&str, &str)]) -> Start {
    let listen = format!("{}:{}", site.host, site.port);
    let mut env = env.to_vec();
    env.extend([("TOY_LISTEN", listen.as_str()), ("TOY_DATA", site.data.as_str())]);
    let mut start = support::start(mode, &env);
    start.command = vec![support::toy().display().to_string()];
    start
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The error of a start that must fail.
fn refused(outcome: Result<Box<dyn Instance>, RuntimeError>) -> RuntimeError {
    outcome.err().expect("it was started")
}

async fn has_its_files() {
    let world = World::new();
    let (site, mut start) = world.prepare("serve", &[("GREETING", "hi")]).await;
    start.files = vec![("config.json".into(), "{}".into())];
    let gateway = world.runtime.launch(site, start).await.unwrap();
    assert_eq!(get(&gateway.base_url(), "/files/config.json").await, "{}");
    let env = get(&gateway.base_url(), "/env").await;
    assert!(env.contains("GREETING") && env.contains("PATH"), "{env}");
    assert!(!env.contains("CARGO"), "{env}");
    assert!(gateway.peak_memory_kib().await.unwrap() > 100);
    assert!(gateway.ready_millis().await < 20_000);
}

async fn memory_of_its_group() {
    let world = World::new();
    let alone = world.launch("serve", &[]).await.peak_memory_kib().await.unwrap();
    let (site, mut start) = world.prepare("serve", &[]).await;
    let command = ["/bin/sh", "-c", "\"$0\" & wait"].map(str::to_owned);
    start.command.splice(0..0, command);
    let started = world.runtime.launch(site, start).await.unwrap().peak_memory_kib().await.unwrap();
    assert!(started > alone / 2, "{started} KiB where a shell starts it, else {alone}");
}

async fn keeps_its_data() {
    let world = World::new();
    let mut gateway = world.launch("serve", &[]).await;
    let url = gateway.base_url();
    get(&url, "/append/one").await;
    let stopped = gateway.stop(Signal::Term).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (Some(0), None, false));
    assert_eq!(gateway.exited().await, None);
    gateway.start_again(vec![("config.json".into(), "edited".into())]).await.unwrap();
    assert_eq!(gateway.base_url(), url);
    assert_eq!(get(&url, "/append/two").await, "one two ");
    assert_eq!(get(&url, "/files/config.json").await, "edited");
    let log = gateway.log().await;
    assert_eq!(log.matches("toy: serve").count(), 2, "{log}");
    assert!(log.contains("toy: asked to stop"), "{log}");
}

async fn is_killed() {
    let mut gateway = World::new().launch("serve", &[]).await;
    let stopped = gateway.stop(Signal::Kill).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (None, Some(9), false));
    assert!(!gateway.log().await.contains("asked to stop"));
}

async fn ignores_term() {
    let world = World::new();
    let (site, mut start) = world.prepare("serve", &[("TOY_DEAF", "1")]).await;
    start.stops_within = Duration::from_millis(100);
    let mut gateway = world.runtime.launch(site, start).await.unwrap();
    let stopped = gateway.stop(Signal::Term).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (None, Some(9), true));
    assert!(stopped.millis >= 100, "{stopped:?}");
    assert!(gateway.log().await.contains("asked to stop"));
}

async fn ends_at_start() {
    let world = World::new();
    let (site, start) = world.prepare("fail", &[]).await;
    let error = refused(world.runtime.launch(site, start).await);
    assert_eq!(error.to_string(), "the gateway ended while it was starting: exit code 3");
    assert_eq!(error.log_tail(), Some("toy: fail\ntoy: no such key"));
    assert_eq!(world.folders(), 0);
}

async fn never_ready() {
    let world = World::new();
    let (site, mut start) = world.prepare("mute", &[("TOY_PIDS", text(&world.pids()))]).await;
    start.ready_within = Duration::from_secs(2);
    let error = refused(world.runtime.launch(site, start).await);
    assert!(error.to_string().ends_with("within 2s; last: status 503"), "{error}");
    assert_eq!(error.log_tail(), Some("toy: mute"));
    world.nothing_is_left(1).await;
}

async fn port_taken() {
    let world = World::new();
    let (site, start) = world.prepare("serve", &[]).await;
    let port = site.port;
    let _other = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = refused(world.runtime.launch(site, start).await);
    assert_eq!(error.to_string(), format!("port {port} on 127.0.0.1 is in use by another program"));
}

async fn port_taken_meanwhile() {
    let world = World::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let (site, mut start) = world.prepare("serve", &[]).await;
    // What the gateway finds taken is another port, which it would only find out by itself.
    let listen = other.local_addr().unwrap().to_string();
    start.env.push(("TOY_LISTEN".into(), listen));
    let error = refused(world.runtime.launch(site, start).await);
    assert!(matches!(error, RuntimeError::PortInUse { .. }), "{error}");
    assert!(error.log_tail().unwrap().contains("Address already in use"), "{error:?}");
}

async fn no_command() {
    let world = World::new();
    let (site, mut start) = world.prepare("serve", &[]).await;
    start.command = vec!["no-such-gateway".into()];
    let error = refused(world.runtime.launch(site, start).await);
    assert!(error.to_string().starts_with("there is no executable `no-such-gateway`: install it"), "{error}");
    assert_eq!(world.folders(), 0);
}

async fn crashes() {
    let mut gateway = World::new().launch("serve", &[]).await;
    assert_eq!(gateway.exited().await, None);
    try_get(&gateway.base_url(), "/crash").await.unwrap_err();
    assert_eq!(end(gateway.as_mut()).await, "exit code 3");
    let stopped = gateway.stop(Signal::Term).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (Some(3), None, false));
}

async fn dropped() {
    let world = World::new();
    let gateway = world.launch("serve", &[("TOY_PIDS", text(&world.pids())), ("TOY_CHILD", "1")]).await;
    assert_eq!(world.folders(), 1);
    drop(gateway);
    world.nothing_is_left(2).await;
}

async fn discarded() {
    let world = World::new();
    let gateway = world.launch("serve", &[("TOY_PIDS", text(&world.pids())), ("TOY_CHILD", "1")]).await;
    gateway.discard().await;
    world.nothing_is_left(2).await;
}

async fn cancelled() {
    let world = World::new();
    let file = world.pids();
    let (site, start) = world.prepare("mute", &[("TOY_PIDS", text(&file)), ("TOY_CHILD", "1")]).await;
    let started = || pids(&file).len() == 2;
    tokio::select! {
        outcome = world.runtime.launch(site, start) => panic!("{:?}", outcome.err()),
        () = until("both processes run", started) => {}
    }
    world.nothing_is_left(2).await;
}

async fn panics() {
    let world = std::sync::Arc::new(World::new());
    let inside = std::sync::Arc::clone(&world);
    let task = tokio::spawn(async move {
        let _gateway = inside.launch("serve", &[("TOY_PIDS", text(&inside.pids()))]).await;
        panic_quietly();
    });
    assert!(task.await.unwrap_err().is_panic());
    world.nothing_is_left(1).await;
}

async fn unwritable() {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, "").unwrap();
    let runtime = ProcessRuntime::new(file.join("below")).unwrap();
    let error = runtime.site(None).await.expect_err("there was a site");
    assert_eq!(error.to_string(), format!("could not create the folder {}/below", file.display()));
}

async fn forced() {
    let out = tempfile::tempdir().unwrap();
    let setup = Setup { run: "test".into(), out: out.path().into(), executable: None };
    let (runtime, line) = choose(Some(Kind::Process), &setup).await.unwrap();
    assert_eq!(runtime.kind(), Kind::Process);
    assert_eq!(line, "runtime: process (as asked for)");
    let error = choose(Some(Kind::External), &setup).await.err().expect("it was chosen");
    assert_eq!(error.to_string(), "the runtime `external` cannot be used without a gateway's address");
}
