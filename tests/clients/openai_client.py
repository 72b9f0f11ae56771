"""The official OpenAI client in front of a gateway; seen.py says how it is called."""

import openai
import seen

PROMPT = [{"role": "user", "content": "hi"}]


# Without a key the client sends nothing at all, unless it is told to leave the header out.
HEADERS = {} if seen.KEY else {"Authorization": openai.Omit()}


def client():
    http = openai.DefaultHttpxClient(event_hooks=seen.hooks())
    return openai.OpenAI(
        base_url=seen.GATEWAY + "/v1", api_key=seen.KEY or "unused", http_client=http, **seen.options()
    )


def call():
    answer = client().chat.completions.create(model=seen.MODEL, messages=PROMPT, max_tokens=100, extra_headers=HEADERS)
    seen.piece(answer.choices[0].message.content)
    return {"end": answer.choices[0].finish_reason, "usage": answer.usage.model_dump(exclude_none=True)}


def stream():
    asked = {"stream_options": {"include_usage": True}} if seen.OPTIONS.get("include_usage") else {}
    end = usage = None
    chunks = client().chat.completions.create(
        model=seen.MODEL, messages=PROMPT, max_tokens=100, stream=True, **asked
    )
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            end = choice.finish_reason or end
            seen.piece(choice.delta.content or "")
    return {"end": end, "usage": usage and usage.model_dump(exclude_none=True)}


def embeddings():
    answer = client().embeddings.create(model=seen.MODEL, input=["hi", "there"])
    numbers = [all(isinstance(number, float) for number in item.embedding) for item in answer.data]
    sizes = [len(item.embedding) for item in answer.data]
    return {"numbers": numbers, "sizes": sizes, "usage": answer.usage.model_dump(exclude_none=True)}


seen.run([call, stream, embeddings])
