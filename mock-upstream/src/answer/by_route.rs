//! Which module answers which route.

use super::error::Refusal;
use super::frame::Answer;
use super::job::Job;
use super::{anthropic, embeddings, gemini, media, models, openai, responses};
use crate::ask::Ask;
use crate::route::{Api, Route, Target};
use crate::script::{Provider, Script};

/// The answer of a model.
pub(crate) fn of_model(job: &Job<'_>, target: &Target) -> Answer {
    match target.route {
        Route::ChatCompletions => openai::chat(job),
        Route::Completions => openai::completion(job),
        Route::Responses => responses::answer(job),
        Route::Embeddings => embeddings::openai(job),
        Route::Images => media::images(job),
        Route::Speech => media::speech(job),
        Route::Transcriptions => media::transcription(job),
        Route::Messages => anthropic::message(job),
        Route::CountTokens if target.api == Api::Gemini => gemini::count_tokens(job),
        Route::CountTokens => anthropic::count_tokens(job),
        Route::GenerateContent => gemini::generate(job),
        Route::StreamGenerateContent => gemini::stream(job, target.sse),
        Route::EmbedContent => embeddings::gemini(job, target.batch),
        Route::Models | Route::PriceSheet | Route::Other => Refusal::not_found("no such route").answer(target, job.seq),
    }
}

/// The list of a provider's models, or the one that the request names.
pub(crate) fn of_list(script: &Script, provider: &Provider, target: &Target, ask: &Ask) -> Option<Answer> {
    models::answer(script, provider, target.api, ask.model.as_deref())
}
