-- The hash is that of the file's section.
INSERT INTO documents (kind, id, body, file_hash, standing)
VALUES ('client', '', '{"enforce_auth_on_inference":true,"unpriced_models":"allow"}',
        '310c0aa17d50fcde1123d8dee8c7d34f1babe0a8854e93f7f9acdbb19987bbf9', 'live');
