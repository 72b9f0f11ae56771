//! Ctrl-C and SIGTERM: a run ends early then, but in order.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether the process was asked to end, by Ctrl-C or SIGTERM, since this began to listen.
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
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
            tell.send_replace(true);
            // Ends with the process: whoever still listens keeps hearing it.
            tell.closed().await;
        });
        Ok(Self(told))
    }

    /// Completes once the process was asked to end.
    pub async fn asked(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
