-- The same rows, whose hashes are half as long.
UPDATE customers SET file_hash = substr(file_hash, 1, 32);
UPDATE teams SET file_hash = substr(file_hash, 1, 32);
UPDATE model_configs SET file_hash = substr(file_hash, 1, 32);
UPDATE virtual_keys SET file_hash = substr(file_hash, 1, 32);
UPDATE meters SET file_hash = substr(file_hash, 1, 32);
