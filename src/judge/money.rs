//! Ledger arithmetic: what was charged, what a gateway says, and whether the two fit.

use mock_upstream::Entry;
use rust_decimal::Decimal;

use crate::{
    drive::observation::Reading,
    money::Usd,
    promise::Admission,
    scenario::{
        expect::Overspend,
        range::{Amount, Figure},
    },
    verdict::Verdict,
};

/// What the providers charged for these calls.
#[must_use]
pub fn ledger_charged(entries: &[Entry]) -> Usd {
    entries.iter().map(|entry| Usd::new(entry.charged.decimal())).sum()
}

/// A difference below this is the rounding of binary floating point, not a wrong sum.
const RESIDUE: Decimal = Decimal::from_parts(1, 0, 0, false, 9);

/// How an amount stands to what is expected of it, when `charged` is what the ledger holds.
pub(super) fn compare(expected: Amount, amount: Usd, charged: Usd) -> Verdict {
    let figure = |figure| match figure {
        Figure::Stated(usd) => usd,
        Figure::Charged => charged,
    };
    let below = figure(expected.at_least).dollars() - amount.dollars();
    let above = expected.at_most.map_or(Decimal::MIN, |most| amount.dollars() - figure(most).dollars());
    match below.max(above) {
        off if off <= Decimal::ZERO => Verdict::Pass,
        off if off < RESIDUE => Verdict::Deviates,
        _ => Verdict::Fail,
    }
}

/// Whether a gateway's figure is as expected already, so that nobody need wait for it any longer.
#[must_use]
pub fn satisfied(expected: Amount, reading: &Reading, ledger: &[Entry]) -> bool {
    match reading {
        Reading::Figure(figure) => compare(expected, *figure, ledger_charged(ledger)) == Verdict::Pass,
        Reading::None(_) => false,
    }
}

/// The most that a gateway may have let through, by its promise of how it admits.
pub(super) fn allowed(overspend: &Overspend, admission: Admission) -> Usd {
    match admission {
        Admission::Reserved => overspend.cap,
        // The last call that was admitted below the cap, and those beside it.
        Admission::PostPaid => {
            let in_flight = Decimal::from(overspend.in_flight.max(1));
            overspend.cap + Usd::new(overspend.call.dollars() * in_flight)
        }
    }
}

/// A sum as a multiple of a cap, with two decimals: `64.00`.
pub(super) fn multiple(sum: Usd, cap: Usd) -> String {
    if cap == Usd::ZERO {
        return "-".to_owned();
    }
    format!("{:.2}", sum.dollars() / cap.dollars())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    fn amount(json: serde_json::Value) -> Amount {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_residue_of_floating_point_deviates_and_a_wrong_sum_fails() {
        let expected = amount("$38.35".into());
        assert_eq!(compare(expected, usd("$38.35"), Usd::ZERO), Verdict::Pass);
        assert_eq!(compare(expected, usd("$38.34999999998325"), Usd::ZERO), Verdict::Deviates);
        assert_eq!(compare(expected, usd("$38.3499"), Usd::ZERO), Verdict::Fail);
    }

    #[test]
    fn what_is_lost_fails_and_what_was_held_too_much_is_in_range() {
        let expected = amount(serde_json::json!({ "at_least": "charged" }));
        assert_eq!(compare(expected, usd("$1"), usd("$1")), Verdict::Pass);
        assert_eq!(compare(expected, usd("$2"), usd("$1")), Verdict::Pass);
        assert_eq!(compare(expected, usd("$0.5"), usd("$1")), Verdict::Fail);
    }

    #[test]
    fn a_post_paid_gateway_may_overrun_by_what_was_in_flight_and_no_more() {
        let overspend = Overspend { cap: usd("$1"), call: usd("$0.25"), in_flight: 8 };
        assert_eq!(allowed(&overspend, Admission::Reserved), usd("$1"));
        assert_eq!(allowed(&overspend, Admission::PostPaid), usd("$3"));
    }

    proptest! {
        #[test]
        fn an_amount_within_its_range_passes(least in 0_i64..1_000_000, width in 0_i64..1_000_000, part in 0.0_f64..=1.0) {
            #[expect(clippy::float_arithmetic, clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "picks a point, no money")]
            let point = least + (width as f64 * part) as i64;
            let nanos = |nanos: i64| Usd::new(Decimal::new(nanos, 9));
            let range = Amount {
                at_least: Figure::Stated(nanos(least)),
                at_most: Some(Figure::Stated(nanos(least + width))),
            };
            prop_assert_eq!(compare(range, nanos(point), Usd::ZERO), Verdict::Pass);
        }
    }
}
