-- Of the file: what they have spent, all of it.
INSERT INTO customers (id, name, file_hash, created_at, updated_at, standing)
VALUES ('c', 'acme', 'fd834411077133aa771d847208eeb1e1cc0681861283f295651ca1ca16e83f80', NOW, NOW, 'live');

INSERT INTO teams (id, name, customer_id, file_hash, created_at, updated_at, standing)
VALUES ('t', 'evals', NULL, 'd1ee03f5376a5f542ce14e7a4c25a3690a141067cee70d8e3d7126f3a1cbc344', NOW, NOW, 'live');

INSERT INTO model_configs (id, model_name, provider, virtual_key_id, file_hash, created_at, updated_at, standing)
VALUES ('m', 'mock-1', 'second', NULL, 'a1a36581bf248fe139f0d71f7775a298d39fa8216172c9a4c35d359aab72aec2', NOW, NOW, 'live');

INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('budget:acme', 'customer', 'c', 1000000000000, '1h', 1000000000000, NOW,
     '969b5b38265cfa861f65fac9433989d5073a43e3c9d1ee37ba96ffb9b8b6e5b9', 'live');

INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('budget:evals', 'team', 't', 1000000000000, '1h', 1000000000000, NOW,
     '9cfe7095336b1e6a4350ca77e34313c775f5c63013ebacb691e12400ccd50b36', 'live');

INSERT INTO meters
    (id, owner_level, owner_id, max_amount, reset_duration, used, window_start, file_hash, standing)
VALUES
    ('requests:model', 'model', 'm', 1, '1h', 1, NOW,
     'c98e8a7dcf2015786b22ecd85c70c9554f0300478c0f5a0ecebfa0124693ca0b', 'live');

INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing, team_id, customer_id)
VALUES
    ('vk-member', 'member', '', 1,
     '8dde363009e8a74364260edb8f2009bb923b81172d80a144e277b0506ba5fb69', 'sk…',
     '[{"id":"member-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     '42d06e95de809f995b4cef8e129befc5733a447a4d0f999096589ee13afc7f25',
     NOW, NOW, 'live', 't', NULL);

-- Made through the API.
INSERT INTO teams (id, name, customer_id, file_hash, created_at, updated_at, standing)
VALUES ('t-made', 'made', NULL, NULL, NOW, NOW, 'live');

INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing, team_id, customer_id)
VALUES
    ('vk-bought', 'bought', '', 1,
     '14c35e7c47e39fc4ced2a450a5d23ca09c150a784507b0c09e3f50451ecdc367', 'sk…',
     '[{"id":"bought-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     NULL,
     NOW, NOW, 'live', NULL, 'c');

INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing, team_id, customer_id)
VALUES
    ('vk-free', 'free', '', 1,
     'a97ffab5cd3331858e03076328705ababa22813218d8511eb09bbbce51d39ff8', 'sk…',
     '[{"id":"free-second","provider":"second","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     NULL,
     NOW, NOW, 'live', NULL, NULL);
