INSERT INTO logs
    (id, request_id, started_at, route, object, stream, model_requested, provider, model, fallback_index, attempts,
     virtual_key_id, virtual_key_name, status, status_code, error_type, input_tokens, output_tokens, cached_tokens,
     cache_write_tokens, reasoning_tokens, cost, latency, first_chunk, input, output)
VALUES
    ('log-old', 'mine-1', NOW - 60000, '/v1/chat/completions', 'chat_completion', 0, 'mock-1', 'primary', 'mock-1', 0, '[]',
     'vk-agent', 'agent', 'success', 200, NULL, 7000, 3000, 0,
     0, 0, 47500000000, 12500, NULL, NULL, NULL);
