//! Why a model stopped, in its provider's own word.

use crate::json::Tree;

/// The words in an answer or an event, in whatever dialect it is.
pub(crate) fn reasons<T: Tree>(body: &T) -> impl Iterator<Item = &str> {
    let list = |name| body.get(name).and_then(Tree::as_list).into_iter().flatten();
    let chat = list("choices").filter_map(|choice| choice.get("finish_reason"));
    let gemini = list("candidates").filter_map(|candidate| candidate.get("finishReason"));
    let message = [Some(body), body.get("delta")].into_iter().flatten().filter_map(|part| part.get("stop_reason"));
    let response = [Some(body), body.get("response")].into_iter().flatten();
    let response = response.filter(|part| part.get("object").and_then(Tree::as_str) == Some("response"));
    let status = response.filter_map(|response| response.get("status")?.as_str());
    let ended = status.filter(|status| *status != "in_progress");
    chat.chain(gemini).chain(message).filter_map(Tree::as_str).chain(ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_dialect_says_why_it_stopped() {
        for (body, expected) in [
            (json!({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}), vec!["stop", "length"]),
            (json!({"choices": [{"finish_reason": null}]}), vec![]),
            (json!({"type": "message", "stop_reason": "end_turn"}), vec!["end_turn"]),
            (json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}), vec!["tool_use"]),
            (json!({"candidates": [{"finishReason": "STOP"}]}), vec!["STOP"]),
            (json!({"object": "response", "status": "completed"}), vec!["completed"]),
            (json!({"type": "response.created", "response": {"object": "response", "status": "in_progress"}}), vec![]),
            (
                json!({"type": "response.incomplete", "response": {"object": "response", "status": "incomplete"}}),
                vec!["incomplete"],
            ),
            (json!([1]), vec![]),
        ] {
            assert_eq!(reasons(&body).collect::<Vec<_>>(), expected, "{body}");
        }
    }
}
