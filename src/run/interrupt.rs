//! Ctrl-C, SIGTERM and a terminal that is closed: a run ends early then, but in order.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::process_status::{field, status};

/// Whether the process was asked to end, by Ctrl-C, SIGTERM or SIGHUP, since this began to listen.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on these signals do not end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let the process listen.
    pub fn listen() -> Result<Self, std::io::Error> {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        // Under `nohup` SIGHUP is ignored, and must stay so.
        let mut hung_up = if ignores_hangup() { None } else { Some(signal(SignalKind::hangup())?) };
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            let hung_up = async {
                match &mut hung_up {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
                _ = hung_up => {}
            }
            tell.send_replace(true);
            // Ends with the process: whoever still listens keeps hearing it.
            tell.closed().await;
        });
        Ok(Self(told))
    }

    /// As if a signal had come before.
    #[cfg(test)]
    pub(super) fn asked_already() -> Self {
        Self(watch::channel(true).1)
    }

    /// Completes once the process was asked to end.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Whether the process was started with SIGHUP ignored: signal 1 is bit 0 of the mask (proc(5)).
fn ignores_hangup() -> bool {
    let mask = status("self").and_then(|status| u64::from_str_radix(field(&status, "SigIgn")?, 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}
