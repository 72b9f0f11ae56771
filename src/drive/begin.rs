//! The begin of a case: on a gateway of its own, or on that of the case before it.

use reqwest::Client;

use super::{
    driver::Driver,
    observation::Problem,
    shared::{Asked, Before},
    start::{NotStarted, Start},
    world::CaseWorld,
};
use crate::scenario::Scenario;

impl<'a> Driver<'a> {
    /// Begins a case on a gateway of its own; `marker` begins the markers of its calls.
    ///
    /// # Errors
    /// When its world cannot be made.
    pub async fn start(
        start: Start<'a>,
        client: Client,
        marker: String,
        scenario: &Scenario,
    ) -> Result<Self, Box<NotStarted>> {
        let world = CaseWorld::start(start, &scenario.policy, &scenario.upstream).await?;
        let (asked, before) = (Asked::of(scenario), Before::new());
        let began = world.last_entry();
        Ok(Self { start, world, asked, client, case: marker, began, before })
    }

    /// Whether a case of this scenario can be run on this gateway after others: it must be configured alike,
    /// and say at once what they have spent if that is asked for.
    #[must_use]
    pub fn can_serve(&self, scenario: &Scenario) -> bool {
        let asks = scenario.steps.iter().any(|step| !step.expect.usage.is_empty() || !step.expect.books.is_empty());
        let tells_late = self.start.gateway.manifest.promises.usage_within.is_some();
        self.asked == Asked::of(scenario) && !(asks && tells_late)
    }

    /// Begins another case on the same gateway.
    ///
    /// # Errors
    /// When it cannot be known what the others have left.
    pub async fn begin(&mut self, marker: String, scenario: &Scenario) -> Result<(), Problem> {
        self.case = marker;
        // The script was checked when the plan was made, and by the control lane.
        let _ = self.world.upstream.set_script(self.script(&scenario.upstream));
        self.began = self.world.last_entry();
        self.note_before(scenario).await
    }
}
