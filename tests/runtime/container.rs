//! Gateways in containers, where a Docker daemon answers.

use std::{fs, future::Future, process::Command, sync::OnceLock, time::Duration};

use axum::{Router, routing::get as route};
use libtest_mimic::{Completion, Failed, Trial};
use probity::{
    gateway::manifest::ContainerLaunch,
    runtime::{ContainerRuntime, Instance, Kind, Runtime, RuntimeError, Setup, Start, choose, docker},
    scenario::step::Signal,
};
use tokio::net::TcpListener;

use crate::support::{self, end, get, panic_quietly, try_get, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("container: a gateway reaches the mock, and keeps its data when it is started again", lives),
        trial("container: a gateway that ignores SIGTERM is killed when its time is over", ignores_term),
        trial("container: a gateway that ends at its start is reported with code and log", ends_at_start),
        trial("container: a gateway that never gets ready is reported and removed", never_ready),
        trial("container: a gateway that crashes is noticed", crashes),
        trial("container: an image that cannot be had is named", no_image),
        trial("container: a start that Docker refuses leaves nothing behind", refused),
        trial("container: a dropped gateway is removed", dropped),
        trial(
            "container: a gateway that is dropped on a thread without a runtime is removed",
            dropped_on_a_plain_thread,
        ),
        trial("container: a start that is cancelled leaves nothing behind, whenever that is", cancelled),
        trial("container: a panic leaves nothing behind", panics),
        trial("container: what a killed runner leaves is removed by the next", killed_runner),
        trial("container: it is chosen where a daemon answers", chosen),
    ]
}

/// A test that needs a daemon; where none answers it says so, which `PROBITY_RUNTIME=container`
/// forbids.
fn trial<T: Future<Output = ()> + 'static>(sentence: &str, test: fn() -> T) -> Trial {
    static ABSENT: OnceLock<Option<String>> = OnceLock::new();
    Trial::ignorable_test(sentence, move || {
        let absent = ABSENT.get_or_init(|| support::wait(docker::available()).err());
        match absent {
            None => {
                support::wait(test());
                Ok(Completion::Completed)
            }
            Some(reason) if std::env::var("PROBITY_RUNTIME").is_ok_and(|it| it == "container") => {
                Err(Failed::from(format!("no Docker daemon answers: {reason}")))
            }
            Some(reason) => Ok(Completion::ignored_with(format!("no Docker daemon answers: {reason}"))),
        }
    })
}

pub(crate) fn launch() -> ContainerLaunch {
    ContainerLaunch {
        image: "self".into(),
        command: Vec::new(),
        env: indexmap::IndexMap::new(),
        port: 8080,
        data: "/data".into(),
    }
}

pub(crate) fn start(mode: &str, env: &[(&str, &str)]) -> Start {
    let mut env = env.to_vec();
    env.extend([("TOY_LISTEN", "0.0.0.0:8080"), ("TOY_DATA", "/data")]);
    let mut start = support::start(mode, &env);
    start.image = Some("self".into());
    start
}

/// A run of its own. Its containers are counted when its runtime was dropped.
struct World {
    run: String,
    runtime: ContainerRuntime,
}

impl World {
    async fn new() -> Self {
        let run = format!("test-{}", uuid::Uuid::new_v4());
        Self { runtime: ContainerRuntime::connect(&run).await.unwrap(), run }
    }

    async fn launch(&self, start: Start) -> Result<Box<dyn Instance>, RuntimeError> {
        let site = self.runtime.site(Some(&launch())).await.unwrap();
        self.runtime.launch(site, start).await
    }

    async fn nothing_is_left(self) {
        let Self { run, runtime } = self;
        tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
        assert_eq!(docker::sweep(&run).await.unwrap(), 0);
    }
}

async fn lives() {
    let world = World::new().await;
    let mock = TcpListener::bind((world.runtime.upstream_bind(), 0)).await.unwrap();
    let mock_port = mock.local_addr().unwrap().port();
    let router = Router::new().route("/", route(|| async { "the mock" }));
    tokio::spawn(async move { axum::serve(mock, router).await });

    let site = world.runtime.site(Some(&launch())).await.unwrap();
    assert_eq!((site.host.as_str(), site.port, site.data.as_str()), ("0.0.0.0", 8080, "/data"));
    let upstream = format!("http://{}:{mock_port}", site.upstream_host);
    let mut start = start("serve", &[]);
    start.files = vec![("config.json".into(), "first".into()), ("below/it.json".into(), "{}".into())];
    let mut gateway = world.runtime.launch(site, start).await.unwrap();

    assert_eq!(get(&gateway.base_url(), "/files/config.json").await, "first");
    assert_eq!(get(&gateway.base_url(), "/files/below%2Fit.json").await, "{}");
    assert_eq!(get(&gateway.base_url(), &format!("/fetch?url={upstream}")).await, "the mock");
    assert_eq!(get(&gateway.base_url(), "/append/one").await, "one ");
    let stopped = gateway.stop(Signal::Term).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (Some(0), None, false));
    assert_eq!(gateway.exited().await, None);

    gateway.start_again(vec![("config.json".into(), "edited".into())]).await.unwrap();
    assert_eq!(get(&gateway.base_url(), "/files/config.json").await, "edited");
    assert_eq!(get(&gateway.base_url(), "/append/two").await, "one two ");
    let stopped = gateway.stop(Signal::Kill).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (None, Some(9), false));

    gateway.start_again(Vec::new()).await.unwrap();
    assert_eq!(get(&gateway.base_url(), "/append/three").await, "one two three ");
    let log = gateway.log().await;
    assert_eq!(log.matches("toy: serve").count(), 3, "{log}");
    gateway.discard().await;
    assert_eq!(docker::sweep(&world.run).await.unwrap(), 0, "it is gone as soon as it was discarded");
    world.nothing_is_left().await;
}

async fn ignores_term() {
    let world = World::new().await;
    let mut start = start("serve", &[("TOY_DEAF", "1")]);
    start.stops_within = Duration::from_millis(200);
    let mut gateway = world.launch(start).await.unwrap();
    let stopped = gateway.stop(Signal::Term).await.unwrap();
    assert_eq!((stopped.code, stopped.signal, stopped.forced), (None, Some(9), true));
    gateway.discard().await;
    world.nothing_is_left().await;
}

async fn ends_at_start() {
    let world = World::new().await;
    let error = world.launch(start("fail", &[])).await.err().expect("it was started");
    assert_eq!(error.to_string(), "the gateway ended while it was starting: exit code 3");
    assert_eq!(error.log_tail(), Some("toy: fail\ntoy: no such key"));
    world.nothing_is_left().await;
}

async fn never_ready() {
    let world = World::new().await;
    let mut start = start("mute", &[]);
    start.ready_within = Duration::from_secs(3);
    let error = world.launch(start).await.err().expect("it was ready");
    assert!(error.to_string().ends_with("within 3s; last: status 503"), "{error}");
    assert_eq!(error.log_tail(), Some("toy: mute"));
    world.nothing_is_left().await;
}

async fn crashes() {
    let world = World::new().await;
    let mut gateway = world.launch(start("serve", &[])).await.unwrap();
    assert_eq!(gateway.exited().await, None);
    try_get(&gateway.base_url(), "/crash").await.unwrap_err();
    assert_eq!(end(gateway.as_mut()).await, "exit code 3");
    drop(gateway);
    world.nothing_is_left().await;
}

async fn no_image() {
    let world = World::new().await;
    let mut start = start("serve", &[]);
    start.image = Some("127.0.0.1:1/no-such-gateway:1".into());
    let error = world.launch(start).await.err().expect("it was started");
    assert!(matches!(error, RuntimeError::ImageMissing { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1/no-such-gateway:1"), "{error}");
    world.nothing_is_left().await;
}

async fn refused() {
    let world = World::new().await;
    // No name of a variable is empty: Docker creates no such container, or cannot start it.
    let mut start = start("serve", &[]);
    start.env.push((String::new(), "nameless".into()));
    let error = world.launch(start).await.err().expect("it was started");
    assert!(matches!(error, RuntimeError::Docker { .. }), "{error}");
    world.nothing_is_left().await;
}

async fn dropped() {
    let world = World::new().await;
    drop(world.launch(start("serve", &[])).await.unwrap());
    world.nothing_is_left().await;
}

async fn dropped_on_a_plain_thread() {
    let world = World::new().await;
    let gateway = world.launch(start("serve", &[])).await.unwrap();
    std::thread::spawn(move || drop(gateway)).join().unwrap();
    world.nothing_is_left().await;
}

async fn cancelled() {
    let world = World::new().await;
    // The image is there before time is taken.
    drop(world.launch(start("serve", &[])).await.unwrap());
    for millis in [1, 10, 30, 60, 100, 150, 200, 250, 300] {
        let launched = world.launch(start("mute", &[]));
        assert!(tokio::time::timeout(Duration::from_millis(millis), launched).await.is_err());
    }
    world.nothing_is_left().await;
}

async fn panics() {
    let run = format!("test-{}", uuid::Uuid::new_v4());
    let inside = run.clone();
    let task = tokio::spawn(async move {
        let runtime = ContainerRuntime::connect(&inside).await.unwrap();
        let site = runtime.site(Some(&launch())).await.unwrap();
        let _gateway = runtime.launch(site, start("serve", &[])).await.unwrap();
        panic_quietly();
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(docker::sweep(&run).await.unwrap(), 0);
}

async fn killed_runner() {
    let folder = tempfile::tempdir().unwrap();
    let holds = folder.path().join("holds");
    let run = format!("test-{}", uuid::Uuid::new_v4());
    let mut runner = Command::new(support::toy())
        .envs([("TOY", "hold"), ("TOY_RUN", run.as_str()), ("TOY_HOLDS", holds.to_str().unwrap())])
        .spawn()
        .unwrap();
    until("the runner has started its container", || fs::exists(&holds).unwrap()).await;
    docker::gc().await.unwrap();
    assert!(runner.try_wait().unwrap().is_none(), "it still runs, so its container is left alone");
    runner.kill().unwrap();
    runner.wait().unwrap();
    docker::gc().await.unwrap();
    assert_eq!(docker::sweep(&run).await.unwrap(), 0);
}

async fn chosen() {
    let out = tempfile::tempdir().unwrap();
    let setup = Setup { run: "test".into(), out: out.path().into(), executable: Some(support::toy()) };
    let (runtime, line) = choose(None, &setup).await.unwrap();
    assert_eq!(runtime.kind(), Kind::Container);
    assert_eq!(line, "runtime: container (a Docker daemon answers)");
}
