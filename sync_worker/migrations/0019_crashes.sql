-- Work at which workers end again and again rests, so that it keeps nothing else from being done: how
-- often in a row a worker began anew and found that its earlier life had this in hands.
SET lock_timeout = '5s';

ALTER TABLE mirror.looks ADD COLUMN crashes smallint NOT NULL DEFAULT 0;
ALTER TABLE mirror.deliveries ADD COLUMN crashes smallint NOT NULL DEFAULT 0;
