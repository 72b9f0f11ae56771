//! What a value should have been, in words that need no Rust.

/// serde's message about a value of another type, without the names of ours.
pub(super) fn in_plain_words(message: &str) -> String {
    match message.rsplit_once(", expected ") {
        Some((found, wanted)) if message.starts_with("invalid ") => format!("{found}, expected {}", plain(wanted)),
        _ => message.to_owned(),
    }
}

fn plain(wanted: &str) -> &str {
    match wanted {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, at least 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        "a map" | "map" => "a mapping",
        "a sequence" => "a list",
        "string or map" => "a word or a mapping",
        _ if wanted.starts_with("a nonzero u") => "a whole number, at least 1",
        _ if wanted.starts_with("struct ") || wanted.contains("tagged enum ") => "a mapping",
        _ if wanted.starts_with("tuple ") => "a list",
        _ if wanted.starts_with("enum ") => "one of the words that are known there",
        _ => wanted,
    }
}
