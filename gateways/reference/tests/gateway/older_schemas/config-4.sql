-- Made through the API, and over.
INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing, expires_at)
VALUES
    ('vk-late', 'late', '', 1,
     'c2f51d30c8f85f980af795da4d8a53dd899d4dd8e32101f3d9948ee98cd288d3', 'sk…',
     '[{"id":"late-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     NULL,
     NOW, NOW, 'live', NOW - 60000);

-- Of the file, with another value since: the file's is retired.
INSERT INTO virtual_keys
    (id, name, description, is_active, value_hash, value_hint, grants, file_hash, created_at, updated_at, standing, retired_hash)
VALUES
    ('vk-turned', 'turned', '', 1,
     '8da9a7efee51ce8615fe40f891bb33ed0da172afab224ae4c3f434dedbdfcfe3', 'sk…',
     '[{"id":"turned-primary","provider":"primary","weight":1,"allowed_models":["*"],"blacklisted_models":[],"key_ids":["*"]}]',
     '0a3326d1243076b26dececfa1b5ba54148fd427703f686027b53d0cf44ab5535',
     NOW, NOW, 'live', '9df06f5eefa5ee303bc14050eda30d5cddcd74f3c10ad7654ab32bcac910e1a3');
