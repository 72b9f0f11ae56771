//! Admin operations, sent to the gateway's management API.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::shortened,
    observation::{Problem, Reading},
    world::{CaseWorld, complete_routes},
};
use crate::{
    gateway::{
        Gateway,
        admin::AdminRequest,
        manifest::{Method, Operation},
        render::Renderer,
    },
    money::Usd,
    period::Period,
    policy::VirtualKey,
    scenario::step::{Admin, EditBudgets},
    verdict::Blame,
};

/// The most that a management API may take for one operation.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// A gateway's management API in one case.
pub(super) struct AdminClient<'a> {
    pub(super) client: &'a Client,
    pub(super) gateway: &'a Gateway,
}

impl AdminClient<'_> {
    /// Does an operation of a scenario.
    pub(super) async fn operate(&self, world: &mut CaseWorld, operation: &Admin) -> Result<(), Problem> {
        let api = &self.gateway.manifest.admin;
        match operation {
            Admin::CreateKey(key) => return self.create(world, key).await,
            Admin::EditBudgets(EditBudgets { key, budgets }) => {
                let asked = json!({ "id": id(world, key), "key": world.name_of(key), "budgets": budgets });
                self.send(world, api.edit_budgets.as_ref(), &asked).await?;
            }
            Admin::DisableKey(key) => {
                self.send(world, api.disable_key.as_ref(), &about(world, key)).await?;
            }
            Admin::DeleteKey(key) => {
                self.send(world, api.delete_key.as_ref(), &about(world, key)).await?;
            }
        }
        Ok(())
    }

    /// Creates a key, and learns its value and the gateway's own name of it.
    pub(super) async fn create(&self, world: &mut CaseWorld, key: &VirtualKey) -> Result<(), Problem> {
        let providers: Vec<_> = world.policy.providers.iter().map(|provider| provider.name.clone()).collect();
        let mut asked = key.clone();
        asked.name = world.name_of(&key.name);
        complete_routes(&mut asked, &providers);
        let what = format!("virtual key {}", key.name);
        let value = key.value.clone().unwrap_or_else(|| self.made_value(world, &key.name));
        // Before it is sent: an answer that refuses it may repeat it.
        world.secrets.plant(&value, &what);
        let create = self.gateway.manifest.admin.create_key.as_ref();
        let answer = self.send(world, create, &json!({ "key": asked, "value": value })).await?;
        let create = create.ok_or_else(no_such_operation)?;
        let taken = |name: &str| {
            let found = create.taken(name, &answer).map_err(|pointers| Problem {
                what: format!("the answer to {} {} has no {name} at {pointers}", create.method.word(), create.path),
                blame: Blame::Gateway,
                fatal: false,
            })?;
            Ok(found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        };
        let id = taken("id")?.unwrap_or_else(|| asked.name.clone());
        world.ids.insert(key.name.clone(), id);
        self.note_for_removal(world, &key.name)?;
        let value = taken("value")?.unwrap_or(value);
        world.secrets.plant(&value, &what);
        world.keys.insert(key.name.clone(), value);
        Ok(())
    }

    /// A value of the gateway's form that follows from the case's credentials.
    fn made_value(&self, world: &CaseWorld, name: &str) -> String {
        let from = format!("{} created {name}", world.world.admin.password);
        let made = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, from.as_bytes());
        format!("{}{made}", self.gateway.manifest.keys.prefix)
    }

    /// A gateway that somebody else runs keeps no key of ours.
    fn note_for_removal(&self, world: &mut CaseWorld, name: &str) -> Result<(), Problem> {
        if world.made.is_none() {
            return Ok(());
        }
        let request = self.request(world, self.gateway.manifest.admin.delete_key.as_ref(), &about(world, name))?;
        let shown = world.name_of(name);
        if let Some(made) = &mut world.made {
            made.note(shown, request);
        }
        Ok(())
    }

    /// What the gateway says that a key has spent.
    pub(super) async fn usage(&self, world: &CaseWorld, key: &str) -> Result<Reading, Problem> {
        let operation = self.gateway.manifest.admin.usage.as_ref();
        let answer = match self.send(world, operation, &about(world, key)).await {
            Ok(answer) => answer,
            Err(problem) if problem.blame == Blame::Gateway => return Ok(Reading::None(problem.what)),
            Err(problem) => return Err(problem),
        };
        let spent = operation.map_or(Ok(None), |usage| usage.taken("spent", &answer));
        let figure = spent.ok().flatten().and_then(Usd::from_json);
        let none = || Reading::None(format!("no figure in {}", shortened(&answer.to_string())));
        Ok(figure.map_or_else(none, Reading::Figure))
    }

    /// Moves the gateway's own clock.
    pub(super) async fn advance(&self, world: &CaseWorld, by: Period) -> Result<(), Problem> {
        let asked = json!({ "by": by.to_string(), "seconds": by.duration().as_secs() });
        self.send(world, self.gateway.manifest.admin.advance.as_ref(), &asked).await.map(|_| ())
    }

    /// The gateway's answer to an operation, as JSON.
    async fn send(&self, world: &CaseWorld, operation: Option<&Operation>, asked: &Value) -> Result<Value, Problem> {
        let request = self.request(world, operation, asked)?;
        let refused = |what| Problem { what, blame: Blame::Gateway, fatal: false };
        let (status, text) = exchange(self.client, &world.instance.base_url(), &request).await.map_err(refused)?;
        if !status.is_success() {
            return Err(refused(format!("{}: {status} {}", request.words(), shortened(&text))));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// The request for an operation. That it cannot be made is no fault of the gateway's.
    fn request(
        &self,
        world: &CaseWorld,
        operation: Option<&Operation>,
        asked: &Value,
    ) -> Result<AdminRequest, Problem> {
        let operation = operation.ok_or_else(no_such_operation)?;
        let renderer = Renderer::new(self.gateway, &world.world);
        let request = self.gateway.manifest.admin.request(operation, &renderer, asked);
        request.map_err(|error| Problem { what: error.to_string(), blame: Blame::Scenario, fatal: false })
    }
}

/// Sends a request to a management API: the answer's status and body, or why there is none.
pub(super) async fn exchange(
    client: &Client,
    base_url: &str,
    request: &AdminRequest,
) -> Result<(StatusCode, String), String> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    };
    let what = request.words();
    let mut builder = client.request(method, format!("{base_url}{}", request.path)).timeout(DEADLINE);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    if let Some(body) = &request.body {
        builder = builder.json(body);
    }
    let response = builder.send().await.map_err(|error| format!("{what}: no answer: {}", error.without_url()))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| format!("{what}: {status}, then {}", error.without_url()))?;
    Ok((status, text))
}

fn no_such_operation() -> Problem {
    let what = "the gateway's manifest has no such operation".to_owned();
    Problem { what, blame: Blame::Scenario, fatal: false }
}

/// What the templates of an operation on a key see.
fn about(world: &CaseWorld, key: &str) -> Value {
    json!({ "id": id(world, key), "key": world.name_of(key) })
}

fn id(world: &CaseWorld, key: &str) -> String {
    world.ids.get(key).cloned().unwrap_or_default()
}
