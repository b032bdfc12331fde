-- SPDX-License-Identifier: MIT
-- The earlier designs' tables know no attachments: the address of one is the last line of the text,
-- as clients of those designs are told it.

CREATE OR REPLACE VIEW compat_s0.message AS
SELECT public.message_id(e.conversation_id, e.rev) AS id, c.code AS room, e.actor_id AS user_id,
	concat_ws(chr(10), nullif(e.content, ''), e.meta->>'attachment_url') AS content,
	e.at AS "timestamp"
FROM public.events e JOIN public.conversations c ON c.id = e.conversation_id
WHERE e.kind = 1 AND e.deleted_at IS NULL AND c.kind = 'code';

CREATE OR REPLACE VIEW compat_s1.messages AS
SELECT public.message_id(e.conversation_id, e.rev) AS id, e.conversation_id AS room_id,
	u.name AS username,
	concat_ws(chr(10), nullif(e.content, ''), e.meta->>'attachment_url') AS content,
	e.at AS created_at
FROM public.events e
JOIN public.conversations c ON c.id = e.conversation_id
JOIN public.users u ON u.id = e.actor_id
WHERE e.kind = 1 AND e.deleted_at IS NULL AND c.kind = 'room' AND c.closed_at IS NULL;
