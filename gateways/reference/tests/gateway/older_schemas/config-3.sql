-- A second budget of the key that was made through the API.
INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing, calendar_aligned)
VALUES
    ('budget:made-day', 'virtual_key', 'vk-made', 1000000000000, '1d', 0, NOW,
     NULL, 'live', 1);
