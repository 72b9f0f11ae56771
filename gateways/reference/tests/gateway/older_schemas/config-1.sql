-- Of the file: one as it is there, and one that an administrator deleted.
INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing)
VALUES
    ('vk-agent', 'agent', '', 1,
     '946bcbef196665b410dd95685673c8bd7d9d27209f1ae9b9e80aac336d57b26c', 'sk…',
     '[{"id":"agent-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     '7662982daf55bf401dd3f3a90a4494fc99500d658154b761ab0860960388e8de',
     NOW, NOW, 'live');

INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing)
VALUES
    ('vk-gone', 'gone', '', 1,
     '43a368a4b3d7ac709875ee04a941420cbcbeb201d3b0423bc6f3537b180e9aab', 'sk…',
     '[{"id":"gone-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     '6d7aebbf54e2522e826ffa91108b5af6ae1c6cfbe0dd94f1c60a466f054d57e9',
     NOW, NOW, 'deleted');

-- Made through the API.
INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing)
VALUES
    ('vk-made', 'made', 'made through the API', 1,
     'c9b04bddda530958fa44eb0f652b46bf4c084bccbb7e7b61cd6f543e8936bbee', 'sk…',
     '[{"id":"made-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     NULL,
     NOW, NOW, 'live');

-- An administrator raised the file's limit from $0.005 to $0.0075; $0.00125 are used.
INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('budget:b', 'virtual_key', 'vk-agent', 7500000000, '1h', 1250000000, NOW,
     '6ce0b2c5a25ce647368ba60f43a922d7969e51222c15666244a39d6e20faaa86', 'live');

-- $0.75 of $1 are used, and one of two requests.
INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('budget:made', 'virtual_key', 'vk-made', 1000000000000, '1h', 750000000000, NOW,
     NULL, 'live');

INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('requests:made', 'virtual_key', 'vk-made', 2, '1h', 1, NOW,
     NULL, 'live');

-- A kill cut off one call of the agent's.
INSERT INTO holds (id, cost, tokens, meters) VALUES (1, 1150000000, 160, '["budget:b"]');
