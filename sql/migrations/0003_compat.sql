-- SPDX-License-Identifier: MIT
-- The tables of earlier designs as read-only views, for reports and scripts written against them.
-- Where two designs use one name, the plain one in schema compat is the integer-keyed design's
-- of the open rooms; every design also has a schema of its own with exactly its names
-- (compat_s0, compat_s1, …).

CREATE SCHEMA compat_s0;
COMMENT ON SCHEMA compat_s0 IS 'Code rooms: "user" and message';
CREATE SCHEMA compat_s1;
COMMENT ON SCHEMA compat_s1 IS 'Named open rooms: chat_rooms and messages';
CREATE SCHEMA compat;
COMMENT ON SCHEMA compat IS
	'Views of all designs under their plain names; messages is that of compat_s1';

CREATE VIEW compat_s0."user" AS
SELECT u.id, u.name FROM public.users u;

CREATE VIEW compat_s0.message AS
SELECT public.message_id(e.conversation_id, e.rev) AS id, c.code AS room, e.actor_id AS user_id,
	e.content,
	e.at AS "timestamp"
FROM public.events e JOIN public.conversations c ON c.id = e.conversation_id
WHERE e.kind = 1 AND e.deleted_at IS NULL AND c.kind = 'code';

CREATE VIEW compat_s1.chat_rooms AS
SELECT c.id, c.name, c.description, c.created_at FROM public.conversations c
WHERE c.kind = 'room' AND c.closed_at IS NULL;

CREATE VIEW compat_s1.messages AS
SELECT public.message_id(e.conversation_id, e.rev) AS id, e.conversation_id AS room_id,
	u.name AS username,
	e.content, e.at AS created_at
FROM public.events e
JOIN public.conversations c ON c.id = e.conversation_id
JOIN public.users u ON u.id = e.actor_id
WHERE e.kind = 1 AND e.deleted_at IS NULL AND c.kind = 'room' AND c.closed_at IS NULL;

CREATE VIEW compat."user" AS SELECT * FROM compat_s0."user";
CREATE VIEW compat.message AS SELECT * FROM compat_s0.message;
CREATE VIEW compat.chat_rooms AS SELECT * FROM compat_s1.chat_rooms;
CREATE VIEW compat.messages AS SELECT * FROM compat_s1.messages;

COMMENT ON VIEW compat_s0."user" IS 'Everybody, by name';
COMMENT ON VIEW compat_s0.message IS 'Messages of code rooms';
COMMENT ON VIEW compat_s1.chat_rooms IS 'Open rooms';
COMMENT ON VIEW compat_s1.messages IS 'Messages of open rooms; id is conversation * 2^32 + rev';
