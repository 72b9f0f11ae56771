-- An entity of the file is known by the first half of its hash: there may be hundreds of thousands.
UPDATE customers SET file_hash = substr(file_hash, 1, 32);
UPDATE teams SET file_hash = substr(file_hash, 1, 32);
UPDATE model_configs SET file_hash = substr(file_hash, 1, 32);
UPDATE virtual_keys SET file_hash = substr(file_hash, 1, 32);
UPDATE meters SET file_hash = substr(file_hash, 1, 32);
