//! Cases that share a gateway: how many are started for them, and that none pays for another.

use crate::sandbox::{REFERENCE, Sandbox};

/// Two cases under each of two caps, neither of which is ever reached.
const SHARED: &str = "
instance: shared
policy:
  virtual_keys:
    - name: agent
      budgets: [{ limit: \"{{ limit }}\", reset: 1h }]
steps:
  - call: { as: agent }
    expect: { status: 200 }
  - settle: {}
    expect: { ledger: { charged: $0.00125 }, usage: { agent: $0.00125 } }
matrix:
  number: [1, 2]
  limit: [$1, $2]
";

#[test]
fn those_that_ask_the_same_of_it_have_one_together() {
    let sandbox = Sandbox::new();
    sandbox.gateway("counted", &format!("echo >> \"$1/../../starts\"; exec {REFERENCE}"));
    sandbox.scenario("budgets/shared", SHARED);
    sandbox.probity(&["run", "--gateway", "counted", "=budgets/shared"]).exits(0);
    // The first start of the target, and one for each cap.
    assert_eq!(sandbox.read("out/starts").lines().count(), 3);
    sandbox.assert_nothing_is_left();
}

#[test]
fn each_is_judged_by_what_it_has_spent_itself() {
    let sandbox = Sandbox::new();
    sandbox.scenario("budgets/shared", SHARED);
    let report = sandbox.probity(&["run", "=budgets/shared", "--format", "json"]).exits(0).json();
    let checks = &report["targets"][0]["summary"]["checks"];
    assert_eq!((&checks["judged"], &checks["applicable"]), (&12.into(), &12.into()), "{checks}");
}

#[test]
fn after_one_that_failed_the_next_has_a_fresh_one() {
    let sandbox = Sandbox::new();
    sandbox.gateway("counted", &format!("echo >> \"$1/../../starts\"; exec {REFERENCE}"));
    let fails = SHARED.replace("status: 200", "status: \"{{ 500 if number == 1 else 200 }}\"");
    sandbox.scenario("budgets/shared", &fails.replace("limit: [$1, $2]", "limit: [$1]"));
    sandbox.probity(&["run", "--gateway", "counted", "=budgets/shared"]).exits(1);
    assert_eq!(sandbox.read("out/starts").lines().count(), 3);
}
