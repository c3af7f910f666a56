-- So that lists need not parse certificates; filled from them once.
ALTER TABLE certificate ADD COLUMN not_before INTEGER;
