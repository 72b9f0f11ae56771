//! Checks: what a case declares before it runs, each with an identity that stays.

use std::fmt;

use super::{
    advance::Advance,
    case::Case,
    expect::Book,
    step::{Action, Step},
};
use crate::{
    capability::Capability,
    owner::{Owner, OwnerKind},
    policy::without_provider,
};

/// One expectation of one step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// The step itself could be done: the gateway came back, the operation was accepted.
    Done,
    /// The status of every answer.
    Status,
    /// Every answer is a refusal for the right reason.
    Refused,
    /// The refusal says which limit, and whose.
    Names,
    /// A field of every answer's body.
    Body(String),
    /// A header of every answer.
    Header(String),
    /// How the stream ends.
    Stream,
    /// What the model thought.
    SaysThought,
    /// The model's text.
    SaysText,
    /// The tools that the model calls.
    SaysCalls,
    /// Every answer says which providers failed before it.
    Tried,
    /// How many were served.
    AnswersPassed,
    /// How many were refused.
    AnswersRefused,
    /// No answer tells a key of a provider.
    AnswersKeysHidden,
    /// How many calls reached the upstream in this step.
    UpstreamCalls,
    /// Which providers were called, in order.
    UpstreamOrder,
    /// No virtual key reached the upstream.
    UpstreamKeysHidden,
    /// How many calls the ledger holds.
    LedgerCalls,
    /// What the ledger charged.
    LedgerCharged,
    /// What the gateway says that somebody has spent.
    Usage(Owner),
    /// What one of its other books says that all calls have cost.
    Book(Book),
    /// The cap holds.
    Overspend,
    /// The step was quick enough.
    Within,
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Status => f.write_str("status"),
            Self::Refused => f.write_str("refused"),
            Self::Names => f.write_str("names"),
            Self::Body(pointer) => write!(f, "body{}", pointer.replace('/', ".")),
            Self::Header(name) => write!(f, "headers.{name}"),
            Self::Stream => f.write_str("stream"),
            Self::SaysThought => f.write_str("says.thought"),
            Self::SaysText => f.write_str("says.text"),
            Self::SaysCalls => f.write_str("says.calls"),
            Self::Tried => f.write_str("tried"),
            Self::AnswersPassed => f.write_str("answers.passed"),
            Self::AnswersRefused => f.write_str("answers.refused"),
            Self::AnswersKeysHidden => f.write_str("answers.keys_hidden"),
            Self::UpstreamCalls => f.write_str("upstream.calls"),
            Self::UpstreamOrder => f.write_str("upstream.order"),
            Self::UpstreamKeysHidden => f.write_str("upstream.keys_hidden"),
            Self::LedgerCalls => f.write_str("ledger.calls"),
            Self::LedgerCharged => f.write_str("ledger.charged"),
            Self::Usage(key) => write!(f, "usage.{key}"),
            Self::Book(book) => write!(f, "books.{}", book.word()),
            Self::Overspend => f.write_str("overspend"),
            Self::Within => f.write_str("within"),
        }
    }
}

/// A check's identity: `budgets/virtual-key-trips[stream=true]#2.status`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CheckId {
    /// The scenario's id.
    pub scenario: String,
    /// The case's name; empty if there is one only.
    pub case: String,
    /// The step, from 1.
    pub step: usize,
    /// The expectation.
    pub kind: CheckKind,
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        if !self.case.is_empty() {
            write!(f, "[{}]", self.case)?;
        }
        write!(f, "#{}.{}", self.step, self.kind)
    }
}

impl Step {
    /// The checks that the step declares, in the order in which they are judged.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckKind> {
        let expect = &self.expect;
        let says = expect.says.as_ref();
        let answers = expect.answers.as_ref();
        let upstream = expect.upstream.as_ref();
        let ledger = expect.ledger.as_ref();
        let may_fail = matches!(self.action, Action::Admin(_) | Action::Restart(_) | Action::Advance(_));
        let mut checks = Vec::new();
        let mut declare = |kind, declared| {
            if declared {
                checks.push(kind);
            }
        };
        declare(CheckKind::Done, may_fail);
        declare(CheckKind::Status, expect.status.is_some());
        declare(CheckKind::Refused, expect.refused.is_some());
        declare(CheckKind::Names, expect.names.is_some());
        expect.body.keys().for_each(|pointer| declare(CheckKind::Body(pointer.clone()), true));
        expect.headers.keys().for_each(|name| declare(CheckKind::Header(name.clone()), true));
        declare(CheckKind::Stream, expect.stream.is_some());
        declare(CheckKind::SaysThought, says.is_some_and(|says| says.thought.is_some()));
        declare(CheckKind::SaysText, says.is_some_and(|says| says.text.is_some()));
        declare(CheckKind::SaysCalls, says.is_some_and(|says| says.calls.is_some()));
        declare(CheckKind::Tried, expect.tried.is_some());
        declare(CheckKind::AnswersPassed, answers.is_some_and(|answers| answers.passed.is_some()));
        declare(CheckKind::AnswersRefused, answers.is_some_and(|answers| answers.refused.is_some()));
        declare(CheckKind::AnswersKeysHidden, answers.is_some_and(|answers| answers.keys_hidden == Some(true)));
        declare(CheckKind::UpstreamCalls, upstream.is_some_and(|upstream| upstream.calls.is_some()));
        declare(CheckKind::UpstreamOrder, upstream.is_some_and(|upstream| upstream.order.is_some()));
        declare(CheckKind::UpstreamKeysHidden, upstream.is_some_and(|upstream| upstream.keys_hidden == Some(true)));
        declare(CheckKind::LedgerCalls, ledger.is_some_and(|ledger| ledger.calls.is_some()));
        declare(CheckKind::LedgerCharged, ledger.is_some_and(|ledger| ledger.charged.is_some()));
        expect.usage.keys().for_each(|key| declare(CheckKind::Usage(key.clone()), true));
        expect.books.keys().for_each(|book| declare(CheckKind::Book(*book), true));
        declare(CheckKind::Overspend, expect.overspend.is_some());
        declare(CheckKind::Within, expect.within.is_some());
        checks
    }
}

impl Case {
    /// Every check of the case, in order.
    #[must_use]
    pub fn checks(&self) -> Vec<CheckId> {
        let of_step = |(index, step): (usize, &Step)| {
            let id = move |kind| CheckId {
                scenario: self.scenario.id.clone(),
                case: self.name.clone(),
                step: index + 1,
                kind,
            };
            step.checks().into_iter().map(id).collect::<Vec<_>>()
        };
        self.scenario.steps.iter().enumerate().flat_map(of_step).collect()
    }

    /// The capabilities without which the case cannot be run at all, in the words of manifests.
    #[must_use]
    pub fn needs(&self) -> Vec<String> {
        let created = self.scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Admin(operation) => Some(operation.policy().needs()),
            _ => None,
        });
        let stated = self.scenario.needs.iter().copied().chain(self.scenario.policy.needs());
        let stated = stated.chain(created.flatten());
        let mut needs: Vec<String> = stated.map(|capability| capability.to_string()).collect();
        for step in &self.scenario.steps {
            if let Some(call) = step.action.call() {
                needs.push(format!("routes.{}", call.route.word()));
                let is_named = without_provider(&call.model, &self.scenario.policy) != call.model;
                needs.extend(is_named.then(|| Capability::RoutingNamed.to_string()));
                needs.extend(call.via.iter().map(|via| format!("keys.via.{}", via.word())));
                needs.extend(call.also.iter().map(|also| format!("keys.via.{}", also.via.word())));
                needs.extend(call.stream.then(|| Capability::Streaming.to_string()));
            }
            match &step.action {
                Action::Admin(operation) => needs.push(admin_need(operation.word(), &operation.about())),
                Action::Trespass(_) => needs.extend(["admin.create_key".to_owned(), "admin.usage".to_owned()]),
                Action::Restart(_) => needs.push(Capability::Restart.to_string()),
                Action::Advance(Advance { to_end_of: Some(_), .. }) => needs.push("admin.advance".to_owned()),
                _ => {}
            }
        }
        let mut seen = std::collections::HashSet::new();
        needs.retain(|need| seen.insert(need.clone()));
        needs
    }
}

impl CheckKind {
    /// What the check expects, as the scenario says it.
    #[must_use]
    pub fn expected(&self, step: &Step) -> String {
        let expect = serde_json::to_value(&step.expect).unwrap_or_default();
        let name = self.to_string();
        let value = match self {
            Self::Done => return format!("the {} is done", step.action.word()),
            Self::Body(pointer) => expect["body"].get(pointer),
            Self::Header(header) => expect["headers"].get(header),
            Self::Usage(owner) => expect["usage"].get(owner.to_string()),
            _ => name.split('.').try_fold(&expect, |value, part| value.get(part)),
        };
        match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// The capability that this check needs beyond its case's.
    #[must_use]
    pub fn needs(&self) -> Option<String> {
        match self {
            Self::Usage(owner) => Some(admin_need("usage", owner)),
            Self::Book(book) => Some(format!("admin.{}", book.operation())),
            Self::Tried => Some("dialect.tried".to_owned()),
            _ => None,
        }
    }
}

/// The word for an operation on this owner: `admin.usage`, and `admin.usage.team`.
fn admin_need(operation: &str, owner: &Owner) -> String {
    match (operation, owner.kind) {
        ("edit_budgets" | "edit_limits" | "usage", kind) if kind != OwnerKind::VirtualKey => {
            format!("admin.{operation}.{}", kind.word())
        }
        _ => format!("admin.{operation}"),
    }
}
