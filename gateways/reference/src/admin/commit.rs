//! How a change of keys, entities and their meters takes effect: written first, then seen
//! by requests, all at once.

use super::meter_edits::MeterEdits;
use super::reply::not_written;
use crate::errors::Problem;
use crate::gateway::Gateway;
use crate::policy::Policy;
use crate::store::Change;

/// Writes the meters and the rows, and only then lets requests see them. What cannot be
/// written changes nothing.
pub(super) async fn commit(
    gateway: &Gateway,
    edits: &MeterEdits,
    rows: Vec<Change>,
    apply: impl FnOnce(&mut Policy),
) -> Result<(), Problem> {
    let now = gateway.books.now();
    let written = gateway.books.write(|ledger| edits.changes(ledger, now).into_iter().chain(rows).collect());
    written.await.map_err(not_written)?;
    {
        // Requests are admitted under the same lock: none finds an owner without its meters.
        let mut policy = gateway.policy_mut();
        gateway.books.apply(|ledger| edits.apply(ledger, now));
        apply(&mut policy);
    }
    if edits.has_resets()
        && let Err(error) = gateway.books.write(|ledger| edits.settled(ledger)).await
    {
        // The disk has what was charged meanwhile on top of what was reset: too much, never too little.
        tracing::error!(%error, "the figures of a reset budget were not written");
    }
    Ok(())
}
