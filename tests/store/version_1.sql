-- hub.db as the first release (schema version 1) leaves it. Never changed: later releases must open it.
PRAGMA application_id = 1112044898;
PRAGMA user_version = 1;
CREATE TABLE extent ( id INTEGER PRIMARY KEY, log TEXT NOT NULL, high INTEGER NOT NULL, UNIQUE (log, high));
CREATE TABLE record (id INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE bucket ( id INTEGER PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (bucket, key));
INSERT INTO extent VALUES (1, 'l1', 0), (2, 'l2', 0), (3, 'emptied', 0), (4, 'l1', 1);
INSERT INTO record VALUES
    (4294967296 + 7, x'736576656e'),
    (4294967296 + 9, x'6e696e65'),
    (2 * 4294967296 + 1, x''),
    (4 * 4294967296 + 5, x'666172');
INSERT INTO bucket VALUES
    (1, 'session', 'sensor/sensor-1', x'94a26c31'),
    (2, 'retained', 'Office/Meetingroom/Temperature', x'32312e35'),
    (5, 'retained', 'Büro/Temperatur', x'');
