//! Sessions of the administrator, and the brake on guesses. Both live in memory: a restart
//! ends every session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::clock::Moment;
use crate::identity::KeyHash;

/// How long a session lasts, like Bifrost's.
pub(super) const LENGTH_SECONDS: i64 = 30 * 86_400;
/// The most sessions at once; a new one ends the oldest.
const MOST_SESSIONS: usize = 1_000;
/// How many wrong passwords an address may try in [`FAILURE_WINDOW_MILLIS`].
const MOST_FAILURES: u32 = 10;
const FAILURE_WINDOW_MILLIS: i64 = 60_000;
/// The most addresses that are remembered; further ones share the place of the unknown.
const MOST_ADDRESSES: usize = 10_000;

/// The sessions that are open, by the hash of their token.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<KeyHash, Moment>>);

impl Sessions {
    /// Opens a session and returns its token.
    pub(super) fn open(&self, now: Moment) -> String {
        let token = Uuid::new_v4().to_string();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, ends| *ends > now);
        if open.len() >= MOST_SESSIONS
            && let Some(oldest) = open.iter().min_by_key(|(_, ends)| **ends).map(|(hash, _)| *hash)
        {
            open.remove(&oldest);
        }
        open.insert(KeyHash::of(&token), now.after(LENGTH_SECONDS * 1_000));
        token
    }

    /// Whether this token's session is open. Tokens are found by their hash, so that the time
    /// it takes says nothing about them.
    pub(super) fn is_open(&self, token: &str, now: Moment) -> bool {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&KeyHash::of(token)).is_some_and(|ends| *ends > now)
    }

    pub(super) fn close(&self, token: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&KeyHash::of(token));
    }

    /// Ends every session: the credentials have changed.
    pub(super) fn close_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Counts wrong passwords by the address that tried them.
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    tried: Mutex<HashMap<Option<IpAddr>, Tried>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Tried {
    failures: u32,
    since: Moment,
}

impl Guesses {
    /// Seconds until this address may try again, if it may not now.
    pub(super) fn wait(&self, address: Option<IpAddr>, now: Moment) -> Option<u64> {
        let tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = tried.get(&place(&tried, address))?;
        let ends = tried.since.after(FAILURE_WINDOW_MILLIS);
        (tried.failures >= MOST_FAILURES && ends > now).then(|| ends.seconds_from(now))
    }

    /// Waits until no other guess is looked at.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Notes a wrong password.
    pub(super) fn failed(&self, address: Option<IpAddr>, now: Moment) {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if tried.len() >= MOST_ADDRESSES {
            tried.retain(|_, tried| tried.since.after(FAILURE_WINDOW_MILLIS) > now);
        }
        let place = place(&tried, address);
        let entry = tried.entry(place).or_insert(Tried { failures: 0, since: now });
        if entry.since.after(FAILURE_WINDOW_MILLIS) <= now {
            *entry = Tried { failures: 0, since: now };
        }
        entry.failures = entry.failures.saturating_add(1);
    }
}

fn place(tried: &HashMap<Option<IpAddr>, Tried>, address: Option<IpAddr>) -> Option<IpAddr> {
    address.filter(|_| tried.contains_key(&address) || tried.len() < MOST_ADDRESSES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);
    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn a_session_is_open_until_it_is_closed_or_its_time_is_over() {
        let sessions = Sessions::default();
        let (first, second) = (sessions.open(NOW), sessions.open(NOW));
        assert!(sessions.is_open(&first, NOW));
        sessions.close(&first);
        assert!(!sessions.is_open(&first, NOW) && sessions.is_open(&second, NOW));
        assert!(!sessions.is_open(&second, NOW.after(LENGTH_SECONDS * 1_000)));
        sessions.close_all();
        assert!(!sessions.is_open(&second, NOW));
    }

    #[test]
    fn the_oldest_of_too_many_sessions_ends() {
        let sessions = Sessions::default();
        let first = sessions.open(NOW);
        let rest: Vec<String> = (1..=1_000).map(|at| sessions.open(NOW.after(at))).collect();
        let later = NOW.after(2_000);
        assert!(!sessions.is_open(&first, later));
        assert!(rest.iter().all(|token| sessions.is_open(token, later)));
    }

    #[test]
    fn after_ten_wrong_passwords_an_address_waits_and_others_do_not() {
        let guesses = Guesses::default();
        for _ in 0..10 {
            assert_eq!(guesses.wait(HOME, NOW), None);
            guesses.failed(HOME, NOW);
        }
        assert_eq!(guesses.wait(HOME, NOW.after(1_000)), Some(59));
        assert_eq!(guesses.wait(None, NOW), None);
        let later = NOW.after(60_000);
        assert_eq!(guesses.wait(HOME, later), None);
        guesses.failed(HOME, later);
        assert_eq!(guesses.wait(HOME, later), None);
    }
}
