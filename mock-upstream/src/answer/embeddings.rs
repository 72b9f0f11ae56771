//! Embeddings of OpenAI and Gemini. A vector depends on its text alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::error::identified;
use super::frame::{Answer, pretty};
use super::job::Job;
use crate::route::Api;

const USUAL_DIMENSIONS: usize = 16;
const MOST_DIMENSIONS: usize = 8192;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Item>,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
struct Item {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    Base64(String),
}

#[derive(Serialize)]
struct Tokens {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// `POST embeddings`.
pub(super) fn openai(job: &Job<'_>) -> Answer {
    let item = |(index, vector): (usize, Vec<f32>)| Item {
        object: "embedding",
        index,
        embedding: match job.ask.base64 {
            true => Vector::Base64(base64(&vector)),
            false => Vector::Numbers(vector),
        },
    };
    let list = List {
        object: "list",
        data: vectors(job).enumerate().map(item).collect(),
        model: job.name,
        usage: job
            .shows_usage()
            .then_some(Tokens { prompt_tokens: job.usage().input, total_tokens: job.usage().input }),
    };
    identified(Answer::json(&list), Api::OpenAi, job.seq)
}

#[derive(Serialize)]
struct One {
    embedding: Values,
}

#[derive(Serialize)]
struct Several {
    embeddings: Vec<Values>,
}

#[derive(Serialize)]
struct Values {
    values: Vec<f32>,
}

/// `POST models/{model}:embedContent` and `:batchEmbedContents`, which tell no usage.
pub(super) fn gemini(job: &Job<'_>, batch: bool) -> Answer {
    let mut embeddings = vectors(job).map(|values| Values { values });
    Answer::gemini_json(if batch {
        pretty(&Several { embeddings: embeddings.collect() })
    } else {
        let embedding = embeddings.next().unwrap_or(Values { values: Vec::new() });
        pretty(&One { embedding })
    })
}

fn vectors(job: &Job<'_>) -> impl Iterator<Item = Vec<f32>> {
    let length = job.ask.dimensions.unwrap_or(USUAL_DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    job.ask.inputs.iter().map(move |text| vector(text, length))
}

/// Components of either sign between 1/8 and 1/4, so that 16 of them have a length near one.
fn vector(text: &str, length: usize) -> Vec<f32> {
    const SIGN_AND_FRACTION: u32 = 0x807f_ffff;
    const EIGHTH: u32 = 0x3e00_0000;
    // FNV-1a over the text, then one step of xorshift a component.
    let mut state = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    state |= 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let [.., a, b, c, d] = state.to_be_bytes();
            f32::from_bits(u32::from_be_bytes([a, b, c, d]) & SIGN_AND_FRACTION | EIGHTH)
        })
        .collect()
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_depends_on_its_text_alone() {
        assert_eq!(vector("a", 16), vector("a", 16));
        assert_ne!(vector("a", 16), vector("b", 16));
        assert_eq!(vector("a", 16)[..8], vector("a", 8));
        assert!(vector("a", 99).iter().all(|c| (0.125..0.25).contains(&c.abs())));
    }
}
