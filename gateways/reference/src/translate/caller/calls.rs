//! Which call of a tool a piece of a stream belongs to.

use serde_json::Value;

/// The calls that have begun, in their order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// With the index and the id that their pieces name.
    begun: Vec<(u64, String)>,
}

/// The place of a piece's call.
pub(super) struct Place {
    pub(super) at: usize,
    /// Whether this piece is its first.
    pub(super) is_new: bool,
}

impl Calls {
    /// The place of the call that a piece belongs to. An index says it; servers that give all
    /// calls the same index, or none, begin another one with another id and a name. Another id
    /// without a name means nothing: some servers make a new one for each piece.
    pub(super) fn place(&mut self, piece: &Value) -> Place {
        let index = piece.get("index").and_then(Value::as_u64).unwrap_or(0);
        let id = piece.get("id").and_then(Value::as_str).unwrap_or_default();
        let name = piece.pointer("/function/name").and_then(Value::as_str).unwrap_or_default();
        let is_more = id.is_empty() || name.is_empty();
        let last =
            |is_its: &dyn Fn(&str) -> bool| self.begun.iter().rposition(|(known, its)| *known == index && is_its(its));
        let known = last(&|its| its == id).or_else(|| last(&|its| is_more || its.is_empty()));
        if let Some((_, its)) = known.and_then(|at| self.begun.get_mut(at)).filter(|(_, its)| its.is_empty()) {
            id.clone_into(its);
        }
        let at = known.unwrap_or_else(|| {
            self.begun.push((index, id.to_owned()));
            self.begun.len() - 1
        });
        Place { at, is_new: known.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(pieces: &[Value]) -> Vec<usize> {
        let mut calls = Calls::default();
        pieces.iter().map(|piece| calls.place(piece).at).collect()
    }

    #[test]
    fn pieces_of_one_index_are_one_call_though_they_come_by_turns() {
        let pieces = [
            json!({"index": 0, "id": "a"}),
            json!({"index": 1, "id": "b"}),
            json!({"index": 0}),
            json!({"index": 1, "id": ""}),
            json!({"index": 0, "id": "a"}),
        ];
        assert_eq!(places(&pieces), [0, 1, 0, 1, 0]);
    }

    #[test]
    fn another_id_is_another_call_where_no_index_tells_them_apart() {
        let begin = |id: &str| json!({"id": id, "function": {"name": "f", "arguments": ""}});
        assert_eq!(places(&[begin("a"), begin("b"), json!({}), json!({"id": "a"})]), [0, 1, 1, 0]);
        let zero = |id: &str| json!({"index": 0, "id": id, "function": {"name": "f"}});
        assert_eq!(places(&[zero("a"), zero("b"), zero("b")]), [0, 1, 1]);
    }

    #[test]
    fn another_id_without_a_name_is_no_other_call() {
        let begin =
            |index: u64, id: &str| json!({"index": index, "id": id, "function": {"name": "f", "arguments": ""}});
        let more = |index: u64, id: &str| json!({"index": index, "id": id, "function": {"arguments": "1"}});
        let unnamed = |id: &str| json!({"index": 0, "id": id, "function": {"name": "", "arguments": "1"}});
        // One other id for all later pieces, or one for each.
        assert_eq!(places(&[begin(0, "a"), more(0, "b"), more(0, "b"), unnamed("b")]), [0, 0, 0, 0]);
        assert_eq!(places(&[begin(0, "a"), more(0, "b"), begin(1, "c"), more(1, "d"), more(0, "e")]), [0, 0, 1, 1, 0]);
        // Also where all have the same index.
        assert_eq!(places(&[begin(0, "a"), more(0, "b"), begin(0, "c"), more(0, "d")]), [0, 0, 1, 1]);
    }

    #[test]
    fn an_id_that_comes_late_is_that_of_the_call_that_has_none() {
        assert_eq!(
            places(&[
                json!({"index": 0}),
                json!({"index": 0, "id": "a"}),
                json!({"index": 0, "id": "b", "function": {"name": "f"}}),
            ]),
            [0, 0, 1]
        );
    }
}
