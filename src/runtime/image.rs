//! The image `self`: nothing but an executable of ours and the shared libraries that it loads.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use tar::{Builder, EntryType, Header};
use testcontainers::bollard::{
    Docker, body_try_stream,
    query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder},
};
use tokio::{
    process::Command,
    sync::{Mutex, mpsc},
};

use super::{RuntimeError, docker::status, error::chain};

/// The image's name. Nothing answers on port 1, so that Docker can never fetch a stranger's image
/// in place of ours.
const NAME: &str = "127.0.0.1:1/probity";

/// The label that names the executable an image is made of.
const EXECUTABLE: &str = "probity.executable";

/// Where the executable lies in the image.
const ENTRYPOINT: &str = "/bin/probity";

/// How much of the image is read ahead of the daemon: so many pieces of so many bytes. The
/// executable is never held in memory as a whole.
const PIECES: usize = 8;
const PIECE: usize = 256 * 1024;

/// Held while an image is looked for and built, so that runtimes of one process build it once.
static BUILDING: Mutex<()> = Mutex::const_new(());

/// Sees to it that the image of this executable is there; its name with its tag.
pub(super) async fn ensure(docker: &Docker, executable: &Path) -> Result<String, RuntimeError> {
    let _building = BUILDING.lock().await;
    let failed = |reason: String| RuntimeError::ImageNotBuilt { executable: executable.to_owned(), reason };
    let libraries = libraries(executable).await.map_err(failed)?;
    let tag = identity(executable, &libraries).map_err(|error| failed(error.to_string()))?;
    let image = format!("{NAME}:{tag}");
    match docker.inspect_image(&image).await {
        Ok(_) => return Ok(image),
        Err(error) if status(&error) == Some(404) => {}
        Err(error) => {
            return Err(RuntimeError::docker(format!("inspect image {image}"), error));
        }
    }
    import(docker, &tag, executable, libraries).await.map_err(failed)?;
    remove_superseded(docker, &tag, executable).await?;
    Ok(image)
}

/// The shared libraries that an executable loads, with the loader itself.
async fn libraries(executable: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let output = Command::new("ldd").arg(executable).kill_on_drop(true).output().await;
    let output =
        output.map_err(|error| format!("`ldd`, which tells the libraries it loads, cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return parse_ldd(&text);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("not a dynamic executable") {
        return Ok(BTreeSet::new());
    }
    Err(format!("`ldd` says: {}", complaint.trim()))
}

/// Reads lines such as `libc.so.6 => /lib/libc.so.6 (0x…)`, `/lib64/ld-linux.so.2 (0x…)` and
/// `linux-vdso.so.1 (0x…)`, of which the last is no file.
fn parse_ldd(text: &str) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        let place = line.rsplit_once("=> ").map_or(line, |(_, place)| place);
        if place == "not found" {
            return Err(format!("`ldd` says: {line}"));
        }
        let place = place.rsplit_once(" (").map_or(place, |(place, _)| place);
        if place.starts_with('/') {
            found.insert(place.into());
        }
    }
    Ok(found)
}

/// A tag that changes with each build. A file is known by where it lies, its size and the moment
/// of its last change: to read a hundred megabytes for each run would cost more than the run.
fn identity(executable: &Path, libraries: &BTreeSet<PathBuf>) -> io::Result<String> {
    let mut hasher = DefaultHasher::new();
    for path in [executable].into_iter().chain(libraries.iter().map(PathBuf::as_path)) {
        let file = fs::metadata(path)?;
        (path, file.len(), file.modified()?).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Hands the image to the daemon while it is being written.
async fn import(docker: &Docker, tag: &str, executable: &Path, libraries: BTreeSet<PathBuf>) -> Result<(), String> {
    let (pieces, queue) = mpsc::channel(PIECES);
    let written = {
        let executable = executable.to_owned();
        tokio::task::spawn_blocking(move || write_image(Pieces(pieces), &executable, &libraries))
    };
    let label = format!("LABEL {EXECUTABLE}={}", quoted(&executable.display().to_string()));
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo(NAME)
        .tag(tag)
        .changes(vec![format!("ENTRYPOINT [\"{ENTRYPOINT}\"]"), label])
        .build();
    let body = stream::unfold(queue, async |mut queue: mpsc::Receiver<Bytes>| {
        let piece = queue.recv().await?;
        Some((Ok(piece), queue))
    });
    let answer = docker.create_image(Some(options), Some(body_try_stream(body)), None);
    answer.try_for_each(async |_| Ok(())).await.map_err(|error| chain(&error))?;
    written.await.map_err(|error| chain(&error))?.map_err(|error| chain(&error))
}

fn write_image(out: Pieces, executable: &Path, libraries: &BTreeSet<PathBuf>) -> io::Result<()> {
    let mut image = Builder::new(BufWriter::with_capacity(PIECE, out));
    // A gateway of any user may need both, and nobody makes them for it.
    for folder in ["tmp/", "data/"] {
        let mut header = header(0o1777, 0);
        header.set_entry_type(EntryType::Directory);
        image.append_data(&mut header, folder, io::empty())?;
    }
    let places = libraries.iter().map(|path| (path.as_path(), path.as_path()));
    for (place, path) in places.chain([(Path::new(ENTRYPOINT), executable)]) {
        let file = fs::File::open(path)?;
        let mut header = header(0o755, file.metadata()?.len());
        image.append_data(&mut header, place.strip_prefix("/").unwrap_or(place), file)?;
    }
    image.into_inner()?.flush()
}

fn header(mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// The writing end of the way to the daemon.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "Docker stopped reading the image"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value of a `LABEL` line, in which `"`, `\` and `$` mean something.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for sign in value.chars() {
        if matches!(sign, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(sign);
    }
    text.push('"');
    text
}

/// Removes images of earlier builds of this executable, and those of executables that are gone. One
/// that a container uses stays.
async fn remove_superseded(docker: &Docker, tag: &str, executable: &Path) -> Result<(), RuntimeError> {
    let filters = HashMap::from([("label", vec![EXECUTABLE])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = docker.list_images(Some(options)).await;
    let images = images.map_err(|error| RuntimeError::docker("list images", error))?;
    let current = format!("{NAME}:{tag}");
    for image in images {
        let path = image.labels.get(EXECUTABLE).map(PathBuf::from).unwrap_or_default();
        if image.repo_tags.contains(&current) || (path != executable && path.exists()) {
            continue;
        }
        let options = RemoveImageOptionsBuilder::new().force(false).build();
        if let Err(error) = docker.remove_image(&image.id, Some(options), None).await {
            tracing::debug!("image {} of {} stays: {error}", image.id, path.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_libraries_are_those_that_ldd_finds() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibgcc_s.so.1 => /lib/libgcc_s.so.1 (0x00007f1c)\n\
                    \tlibc.so.6 => /lib/x86 64/libc.so.6 (0x00007f1d)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f1e)\n";
        let found = parse_ldd(text).unwrap();
        let expected = ["/lib/libgcc_s.so.1", "/lib/x86 64/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert!(found.iter().map(|path| path.to_str().unwrap()).eq(expected), "{found:?}");
    }

    #[test]
    fn a_static_executable_loads_nothing() {
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        assert_eq!(parse_ldd("\tlibx.so.1 => not found\n").unwrap_err(), "`ldd` says: libx.so.1 => not found");
    }

    #[test]
    fn an_executable_that_was_built_again_has_another_tag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway");
        fs::write(&path, "one").unwrap();
        let first = identity(&path, &BTreeSet::new()).unwrap();
        assert_eq!(identity(&path, &BTreeSet::new()).unwrap(), first);
        fs::write(&path, "another").unwrap();
        assert_ne!(identity(&path, &BTreeSet::new()).unwrap(), first);
    }

    #[test]
    fn a_path_is_quoted_for_a_label() {
        assert_eq!(quoted(r#"/a "b"/$c"#), r#""/a \"b\"/\$c""#);
    }
}
