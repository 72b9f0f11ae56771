//! Admin operations, sent to the gateway's management API.

use regex::Regex;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Outgoing, shortened},
    complete::complete_routes,
    observation::{Problem, Reading},
    send::{send, verb},
    world::CaseWorld,
};
use crate::{
    gateway::{Gateway, admin::AdminRequest, load::lay_over, manifest::Operation, render::Renderer},
    money::Usd,
    owner::{Owner, OwnerKind},
    period::Period,
    policy::VirtualKey,
    scenario::{
        admin::{Admin, RETIRED, asked_about},
        call::RouteName,
        expect::Book,
    },
    verdict::Blame,
};

/// The most that a management API may take for one operation.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// The key that somebody who may not make keys asks for.
const TRESPASSER: &str = "trespasser";

/// What the creation of a key asks for.
struct Creation {
    /// What its templates see.
    asked: Value,
    /// What the key is called at the gateway.
    name: String,
    /// Its value, where the gateway makes none of its own.
    value: String,
}

/// A gateway's management API in one case.
pub(super) struct AdminClient<'a> {
    pub(super) client: &'a Client,
    pub(super) gateway: &'a Gateway,
}

impl AdminClient<'_> {
    /// Does an operation of a scenario.
    pub(super) async fn operate(&self, world: &mut CaseWorld, operation: &Admin) -> Result<(), Problem> {
        if let Admin::CreateKey(key) = operation {
            return self.create(world, key).await;
        }
        if let Admin::FaultyChange = operation {
            return self.faulty_change(world).await;
        }
        let request = self.gateway.manifest.admin.operation(operation.word());
        let answer = self.send(world, request, &asked(world, operation)).await?;
        let Some(request) = request else { return Ok(()) };
        let about = operation.about();
        if operation.creates() {
            let id = taken(request, "id", &answer)?.unwrap_or_else(|| about.configured_id());
            world.ids.insert(about, id);
        } else if let Admin::RotateKey(key) = operation
            && let Some(value) = taken(request, "value", &answer)?
        {
            world.secrets.plant(&value, &format!("rotated virtual key {key}"));
            if let Some(old) = world.keys.insert(key.clone(), value) {
                world.keys.insert(format!("{key}{RETIRED}"), old);
            }
        }
        Ok(())
    }

    /// A change that must be rejected: anything but an answer of 4xx is a problem.
    async fn faulty_change(&self, world: &CaseWorld) -> Result<(), Problem> {
        let request = self.request(world, self.gateway.manifest.admin.faulty_change.as_ref(), &json!({}))?;
        let wrong = |what| Problem { what, blame: Blame::Gateway, fatal: false };
        let (status, text) = exchange(self.client, &world.instance.base_url(), &request).await.map_err(wrong)?;
        if status.is_client_error() {
            return Ok(());
        }
        Err(wrong(format!("{} was not rejected: {status} {}", request.words(), shortened(&text))))
    }

    /// Tries to make a key and to read one with a virtual key at most: what the caller saw.
    pub(super) async fn trespass(
        &self,
        world: &mut CaseWorld,
        with: Option<&str>,
        marker: &str,
    ) -> Result<Vec<Answer>, Problem> {
        let api = &self.gateway.manifest.admin;
        let creation = self.creation(world, &VirtualKey::named(TRESPASSER, &world.policy));
        let about = world.policy.virtual_keys.first().map_or(Owner::key("nobody"), |key| Owner::key(&key.name));
        let requests = [
            self.request(world, api.create_key.as_ref(), &creation.asked)?,
            self.request(world, api.usage.as_ref(), &self::about(world, &about))?,
        ];
        let via = self.gateway.manifest.keys.via.first();
        let key = with.and_then(|name| world.keys.get(name)).zip(via).map(|(key, via)| via.header(key));
        let outgoing = requests.map(|request| Outgoing {
            marker: marker.to_owned(),
            method: request.method,
            url: format!("{}{}", world.instance.base_url(), request.path),
            headers: key.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: request.body,
            route: RouteName::Models,
            hang_up_after: None,
            deadline: DEADLINE,
        });
        world.asked_for_key(TRESPASSER);
        let [create, read] = &outgoing;
        let created = send(self.client, create).await;
        match created.status.and_then(|status| StatusCode::from_u16(status).ok()) {
            // It stands open: what it has made is a key as good as any.
            Some(status) if status.is_success() => self.note_made(world, TRESPASSER, &creation, &created.json())?,
            Some(status) if status.is_client_error() => world.refused_key(),
            _ => {}
        }
        Ok(vec![created, send(self.client, read).await])
    }

    /// Creates a key, and learns its value and the gateway's own name of it.
    pub(super) async fn create(&self, world: &mut CaseWorld, key: &VirtualKey) -> Result<(), Problem> {
        let creation = self.creation(world, key);
        let request = self.request(world, self.gateway.manifest.admin.create_key.as_ref(), &creation.asked)?;
        let wrong = |what, blame| Problem { what, blame, fatal: false };
        world.asked_for_key(&key.name);
        let answer = exchange(self.client, &world.instance.base_url(), &request).await;
        let (status, text) = answer.map_err(|what| wrong(what, Blame::Gateway))?;
        if status.is_client_error() {
            world.refused_key();
        }
        if !status.is_success() {
            let what = format!("{}: {status} {}", request.words(), shortened(&text));
            let is_login = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
            return Err(match world.made {
                // Whether they are the owner's nobody here can know.
                Some(_) if is_login => {
                    wrong(format!("{what}; are the credentials of --admin right?"), Blame::Environment)
                }
                _ => wrong(what, Blame::Gateway),
            });
        }
        self.note_made(world, &key.name, &creation, &serde_json::from_str(&text).unwrap_or_default())
    }

    /// What the creation of a key asks for. Its value is no secret to be read from then on: an answer that
    /// refuses it may repeat it.
    fn creation(&self, world: &mut CaseWorld, key: &VirtualKey) -> Creation {
        let providers: Vec<_> = world.policy.providers.iter().map(|provider| provider.name.clone()).collect();
        let mut complete = key.clone();
        complete.name = world.name_of(&key.name);
        complete_routes(&mut complete, &providers);
        let value = key.value.clone().unwrap_or_else(|| self.made_value(world, &key.name));
        world.secrets.plant(&value, &format!("virtual key {}", key.name));
        let name = complete.name.clone();
        let mut asked = asked(world, &Admin::CreateKey(complete));
        asked["name"] = name.as_str().into();
        asked["value"] = value.as_str().into();
        Creation { asked, name, value }
    }

    /// Learns from the answer that made a key what the gateway calls it, and its value. A gateway that
    /// somebody else runs keeps no key of ours.
    fn note_made(&self, world: &mut CaseWorld, key: &str, asked: &Creation, answer: &Value) -> Result<(), Problem> {
        let api = &self.gateway.manifest.admin;
        let create = api.create_key.as_ref().ok_or_else(no_such_operation)?;
        let value = taken(create, "value", answer);
        if let Ok(Some(value)) = &value {
            world.secrets.plant(value, &format!("virtual key {key}"));
        }
        let id = taken(create, "id", answer)?.unwrap_or_else(|| asked.name.clone());
        world.ids.insert(Owner::key(key), id);
        if world.made.is_some() {
            let removal = self.request(world, api.delete_key.as_ref(), &about(world, &Owner::key(key)))?;
            world.made.iter_mut().for_each(|made| made.made(removal.clone()));
        }
        world.keys.insert(key.to_owned(), value?.unwrap_or_else(|| asked.value.clone()));
        Ok(())
    }

    /// A value of the gateway's form. It follows from the case's credentials; at a gateway that somebody else
    /// runs it follows from nothing that anybody knows.
    fn made_value(&self, world: &CaseWorld, name: &str) -> String {
        let made = match world.made {
            Some(_) => uuid::Uuid::new_v4(),
            None => {
                let from = format!("{} created {name}", world.world.admin.password);
                uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, from.as_bytes())
            }
        };
        format!("{}{made}", self.gateway.manifest.keys.prefix)
    }

    /// What the gateway says that somebody has spent.
    pub(super) async fn usage(&self, world: &CaseWorld, owner: &Owner) -> Result<Reading, Problem> {
        self.figure(world, self.gateway.manifest.admin.usage.as_ref(), &about(world, owner)).await
    }

    /// What one of the gateway's other books says that all calls have cost.
    pub(super) async fn book(&self, world: &CaseWorld, book: Book) -> Result<Reading, Problem> {
        self.figure(world, self.gateway.manifest.admin.operation(book.operation()), &json!({})).await
    }

    /// The figure that an operation reads: taken from JSON, or added up from text.
    async fn figure(
        &self,
        world: &CaseWorld,
        operation: Option<&Operation>,
        asked: &Value,
    ) -> Result<Reading, Problem> {
        let text = match self.send_for_text(world, operation, asked).await {
            Ok(text) => text,
            Err(problem) if problem.blame == Blame::Gateway => return Ok(Reading::None(problem.what)),
            Err(problem) => return Err(problem),
        };
        let Some(operation) = operation else { return Err(no_such_operation()) };
        let figure = match operation.sum.as_deref().and_then(|sum| Regex::new(sum).ok()) {
            Some(sum) => added_up(&sum, &text),
            None => {
                let answer = serde_json::from_str(&text).unwrap_or_default();
                operation.taken("spent", &answer).ok().flatten().and_then(Usd::from_json)
            }
        };
        let none = || Reading::None(format!("no figure in {}", shortened(&text)));
        Ok(figure.map_or_else(none, Reading::Figure))
    }

    /// Moves the gateway's own clock.
    pub(super) async fn advance(&self, world: &CaseWorld, by: Period) -> Result<(), Problem> {
        let asked = json!({ "by": by.to_string(), "seconds": by.duration().as_secs() });
        self.send(world, self.gateway.manifest.admin.advance.as_ref(), &asked).await.map(|_| ())
    }

    /// The gateway's answer to an operation, as JSON.
    async fn send(&self, world: &CaseWorld, operation: Option<&Operation>, asked: &Value) -> Result<Value, Problem> {
        let text = self.send_for_text(world, operation, asked).await?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// The gateway's answer to an operation.
    async fn send_for_text(
        &self,
        world: &CaseWorld,
        operation: Option<&Operation>,
        asked: &Value,
    ) -> Result<String, Problem> {
        let request = self.request(world, operation, asked)?;
        let refused = |what| Problem { what, blame: Blame::Gateway, fatal: false };
        let (status, text) = exchange(self.client, &world.instance.base_url(), &request).await.map_err(refused)?;
        if !status.is_success() {
            return Err(refused(format!("{}: {status} {}", request.words(), shortened(&text))));
        }
        Ok(text)
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
    let what = request.words();
    let mut builder = client.request(verb(request.method), format!("{base_url}{}", request.path)).timeout(DEADLINE);
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

/// The sum of the figures that a regular expression finds; none where one is no figure.
fn added_up(sum: &Regex, text: &str) -> Option<Usd> {
    let figures = sum.captures_iter(text).map(|found| Usd::from_plain(found.get(1).map_or("", |found| found.as_str())));
    figures.collect::<Result<Vec<_>, _>>().ok().map(|figures| figures.into_iter().sum())
}

/// A text that an operation takes from its answer, if it takes any of this name.
fn taken(operation: &Operation, name: &str, answer: &Value) -> Result<Option<String>, Problem> {
    let found = operation.taken(name, answer).map_err(|pointers| Problem {
        what: format!("the answer to {} {} has no {name} at {pointers}", operation.method.word(), operation.path),
        blame: Blame::Gateway,
        fatal: false,
    })?;
    Ok(found.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
}

/// What the templates of an operation see.
fn asked(world: &CaseWorld, operation: &Admin) -> Value {
    let mut asked = about(world, &operation.about());
    lay_over(&mut asked, operation.asked());
    for owner in operation.belongs_to() {
        asked[format!("{}_id", owner.kind.word())] = id(world, &owner).into();
    }
    asked
}

/// What the templates of an operation see of the one that it is about.
fn about(world: &CaseWorld, owner: &Owner) -> Value {
    let name = match owner.kind {
        OwnerKind::VirtualKey => world.name_of(&owner.name),
        _ => owner.name.clone(),
    };
    asked_about(owner, &id(world, owner), &name)
}

fn id(world: &CaseWorld, owner: &Owner) -> String {
    world.ids.get(owner).cloned().unwrap_or_else(|| owner.configured_id())
}
