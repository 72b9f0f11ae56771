"""The official Anthropic client in front of a gateway; seen.py says how it is called."""

import anthropic
import seen

PROMPT = [{"role": "user", "content": "hi"}]


# Without a key the client sends nothing at all, unless it is told to leave the header out.
HEADERS = {} if seen.KEY else {"X-Api-Key": anthropic.Omit(), "Authorization": anthropic.Omit()}


def client():
    http = anthropic.DefaultHttpxClient(event_hooks=seen.hooks())
    return anthropic.Anthropic(
        base_url=seen.GATEWAY + "/anthropic", api_key=seen.KEY or "", http_client=http, **seen.options()
    )


def usage(message):
    return {"input_tokens": message.usage.input_tokens, "output_tokens": message.usage.output_tokens}


def call():
    message = client().messages.create(model=seen.MODEL, messages=PROMPT, max_tokens=100, extra_headers=HEADERS)
    seen.piece(message.content[0].text)
    return {"end": message.stop_reason, "usage": usage(message)}


def stream():
    with client().messages.stream(model=seen.MODEL, messages=PROMPT, max_tokens=100) as events:
        for text in events.text_stream:
            seen.piece(text)
        message = events.get_final_message()
    return {"end": message.stop_reason, "usage": usage(message)}


seen.run([call, stream])
