//! Admin operations, sent to the gateway's management API.

use minijinja::{Value as TemplateValue, context, value::Serde};
use reqwest::Client;
use serde_json::Value;

use super::{
    answer::shortened,
    observation::Reading,
    world::{CaseWorld, complete_key},
};
use crate::{
    gateway::{
        Gateway,
        manifest::{Method, Operation},
        render::Renderer,
    },
    money::Usd,
    period::Period,
    scenario::step::Admin,
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
    pub(super) async fn operate(&self, world: &mut CaseWorld, operation: &Admin) -> Result<(), String> {
        let api = &self.gateway.manifest.admin;
        match operation {
            Admin::CreateKey(key) => {
                let mut key = key.clone();
                let providers: Vec<_> = world.policy.providers.iter().map(|provider| provider.name.clone()).collect();
                let prefix = &self.gateway.manifest.keys.prefix;
                complete_key(&mut key, &providers, |name| {
                    format!(
                        "{prefix}{}",
                        uuid::Uuid::new_v5(
                            &uuid::Uuid::NAMESPACE_OID,
                            format!("{} created {name}", world.world.admin.password).as_bytes()
                        )
                    )
                });
                let answer = self.send(world, api.create_key.as_ref(), context! { key => Serde(key.clone()) }).await?;
                let taken = |name| api.create_key.as_ref().and_then(|create| create.taken(name, &answer)?.as_str());
                let value = taken("value").or(key.value.as_deref()).unwrap_or_default().to_owned();
                world.secrets.plant(&value, &format!("virtual key {}", key.name));
                world.keys.insert(key.name.clone(), value);
                world.ids.insert(key.name.clone(), taken("id").unwrap_or_default().to_owned());
            }
            Admin::EditBudgets(edit) => {
                let values = context! { id => id(world, &edit.key), key => edit.key.as_str(), budgets => Serde(edit.budgets.clone()) };
                self.send(world, api.edit_budgets.as_ref(), values).await?;
            }
            Admin::DisableKey(key) => {
                self.send(world, api.disable_key.as_ref(), context! { id => id(world, key), key => key.as_str() })
                    .await?;
            }
            Admin::DeleteKey(key) => {
                self.send(world, api.delete_key.as_ref(), context! { id => id(world, key), key => key.as_str() })
                    .await?;
            }
        }
        Ok(())
    }

    /// What the gateway says that a key has spent.
    pub(super) async fn usage(&self, world: &CaseWorld, key: &str) -> Reading {
        let operation = self.gateway.manifest.admin.usage.as_ref();
        match self.send(world, operation, context! { id => id(world, key), key => key }).await {
            Ok(answer) => {
                let spent = operation.and_then(|usage| usage.taken("spent", &answer)).and_then(Usd::from_json);
                spent.map_or_else(
                    || Reading::None(format!("no figure in {}", shortened(&answer.to_string()))),
                    Reading::Figure,
                )
            }
            Err(why) => Reading::None(why),
        }
    }

    /// Moves the gateway's own clock.
    pub(super) async fn advance(&self, world: &CaseWorld, by: Period) -> Result<(), String> {
        let values = context! { by => by.to_string(), seconds => by.duration().as_secs() };
        self.send(world, self.gateway.manifest.admin.advance.as_ref(), values).await.map(|_| ())
    }

    async fn send(
        &self,
        world: &CaseWorld,
        operation: Option<&Operation>,
        values: TemplateValue,
    ) -> Result<Value, String> {
        let operation = operation.ok_or("the gateway's manifest has no such operation")?;
        let renderer = Renderer::new(self.gateway, &world.world);
        let request =
            self.gateway.manifest.admin.request(operation, &renderer, &values).map_err(|error| error.to_string())?;
        let url = format!("{}{}", world.instance.base_url(), request.path);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let what = format!("{method} {}", request.path);
        let mut builder = self.client.request(method, url).timeout(DEADLINE);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let response = builder.send().await.map_err(|error| format!("{what}: no answer: {error}"))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| format!("{what}: {status}, then {error}"))?;
        if !status.is_success() {
            return Err(format!("{what}: {status} {}", shortened(&text)));
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }
}

fn id(world: &CaseWorld, key: &str) -> String {
    world.ids.get(key).cloned().unwrap_or_default()
}
