//! A gateway's Python packages, in a virtual environment of their own.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::{
    RuntimeError,
    group::how,
    install::{self, Wanted},
    log::last_lines,
};

/// The virtual environment `<venvs>/<name>-<hash>` with what the requirements file names, made on
/// first use; `name` is that of the folder which holds the file. Two runs at once make it once.
/// `progress` is told, in one line, before something takes long.
///
/// # Errors
///
/// If there is no Python, if it cannot make virtual environments, or if a package cannot be had.
pub async fn ensure(
    requirements: &Path,
    venvs: &Path,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<PathBuf, RuntimeError> {
    ensure_with("python3", requirements, venvs, progress).await
}

async fn ensure_with(
    python: &str,
    requirements: &Path,
    venvs: &Path,
    progress: impl Fn(&str) + Send + Sync,
) -> Result<PathBuf, RuntimeError> {
    fs::metadata(requirements).map_err(RuntimeError::io("read", requirements))?;
    let version = version(python, requirements).await?;
    let wanted = Wanted { file: requirements, name: &name(requirements), version: &version };
    install::once(wanted, venvs, progress, async |venv| install(python, requirements, venv).await).await
}

/// What `--version` answers: an environment of another Python is another environment.
async fn version(python: &str, requirements: &Path) -> Result<String, RuntimeError> {
    let asked = Command::new(python).arg("--version").stdin(Stdio::null()).kill_on_drop(true).output().await;
    let reason = match asked {
        Ok(output) if output.status.success() => {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            format!("`{python} --version` ended with {}: {}", how(output.status), last_lines(&words, 1))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("there is no `{python}` in PATH; install Python 3 with its module venv")
        }
        Err(error) => format!("`{python}` cannot be run: {error}"),
    };
    Err(RuntimeError::NoPython { requirements: requirements.to_owned(), reason })
}

/// The folder of a gateway has its name.
fn name(requirements: &Path) -> String {
    let folder = fs::canonicalize(requirements).ok();
    let folder = folder.as_deref().and_then(Path::parent).and_then(Path::file_name);
    folder.map_or_else(|| "python".to_owned(), |name| name.to_string_lossy().into_owned())
}

async fn install(python: &str, requirements: &Path, venv: &Path) -> Result<(), RuntimeError> {
    let mut make = Command::new(python);
    make.args(["-m", "venv"]).arg(venv);
    let (status, log) = install::run(make, venv).await?;
    if !status.success() {
        let reason = format!("`{python} -m venv` ended with {}:\n{log}", how(status));
        return Err(RuntimeError::NoPython { requirements: requirements.to_owned(), reason });
    }
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "-r"]);
    pip.arg(requirements);
    let (status, log) = install::run(pip, venv).await?;
    if !status.success() {
        return Err(RuntimeError::Install { requirements: requirements.to_owned(), how: how(status), log });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A gateway's folder whose requirements file says this, and a folder for environments.
    fn folders(requirements: &str) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let gateway = folder.path().join("some-gateway");
        fs::create_dir(&gateway).unwrap();
        let file = gateway.join("requirements.txt");
        fs::write(&file, requirements).unwrap();
        let venvs = folder.path().join("out/venv");
        (folder, file, venvs)
    }

    #[tokio::test]
    async fn without_a_python_it_says_so_and_what_to_do() {
        let (_folder, file, venvs) = folders("");
        let error = ensure_with("no-such-python", &file, &venvs, |_| {}).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RuntimeError::NoPython { .. }), "{text}");
        assert!(
            text.ends_with("there is no `no-such-python` in PATH; install Python 3 with its module venv"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_missing_requirements_file_is_named() {
        let (_folder, file, venvs) = folders("");
        let missing = file.with_file_name("missing.txt");
        let error = ensure(&missing, &venvs, |_| {}).await.unwrap_err();
        assert!(error.to_string().ends_with("missing.txt"), "{error}");
    }
}
