//! Virtual environments, made by the Python of this machine.

use std::{fs, future::Future, path::PathBuf, process::Command, sync::Mutex};

use libtest_mimic::{Completion, Failed, Trial};
use probity::runtime::{RuntimeError, python};
use tempfile::TempDir;

use crate::support;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("python: two runs at once make one environment", made_once),
        trial("python: a package that cannot be had is reported with pip's last lines", not_to_be_had),
    ]
}

/// A test that needs Python; where there is none it says so, which `PROBITY_REQUIRE=all` forbids.
fn trial<T: Future<Output = ()> + 'static>(sentence: &str, test: fn() -> T) -> Trial {
    Trial::ignorable_test(sentence, move || {
        let asked = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
        if asked.is_ok_and(|output| output.status.success()) {
            support::wait(test());
            return Ok(Completion::Completed);
        }
        let reason = "there is no python3 with its module venv";
        if std::env::var("PROBITY_REQUIRE").is_ok_and(|it| it == "all") {
            return Err(Failed::from(reason));
        }
        Ok(Completion::ignored_with(reason))
    })
}

fn gateway(requirements: &str) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let gateway = folder.path().join("snake");
    fs::create_dir(&gateway).unwrap();
    let file = gateway.join("requirements.txt");
    fs::write(&file, requirements).unwrap();
    let venvs = folder.path().join("venv");
    (folder, file, venvs)
}

async fn made_once() {
    let (_folder, file, venvs) = gateway("# nothing\n");
    let told = Mutex::new(Vec::new());
    let progress = |line: &str| told.lock().unwrap().push(line.to_owned());
    let both = [python::ensure(&file, &venvs, progress), python::ensure(&file, &venvs, progress)];
    let [one, other] = <[_; 2]>::try_from(futures_util::future::join_all(both).await).unwrap();
    let venv = one.unwrap();
    assert_eq!(other.unwrap(), venv);
    assert_eq!(python::ensure(&file, &venvs, progress).await.unwrap(), venv);
    assert!(venv.file_name().unwrap().to_str().unwrap().starts_with("snake-"));
    assert!(venv.join("bin/python").exists());
    let told = told.into_inner().unwrap();
    assert_eq!(told.iter().filter(|line| line.starts_with("installing")).count(), 1, "{told:?}");
}

async fn not_to_be_had() {
    let (_folder, file, venvs) = gateway("./no_such_package-1.0-py3-none-any.whl\n");
    let error = python::ensure(&file, &venvs, |_| {}).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Install { .. }), "{error:?}");
    assert!(error.log_tail().unwrap().contains("no_such_package"), "{error:?}");
    // It is not taken for complete the next time.
    python::ensure(&file, &venvs, |_| {}).await.unwrap_err();
}
