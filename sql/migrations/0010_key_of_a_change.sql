-- SPDX-License-Identifier: MIT
-- A key that stands for a change of the log stands for no message: a send with it is not answered
-- as one that was stored before, because it never was.

-- As in 0002_log.sql, but status 2 of a key that a change has names no conversation: conv is 0.
CREATE OR REPLACE FUNCTION public.persist_batch_again(
	p_at timestamptz, p_ids bigint[], p_conv bigint[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint)
LANGUAGE sql VOLATILE
AS $$
	WITH r AS MATERIALIZED (
		SELECT * FROM unnest(p_conv, p_sender, p_key, p_content, p_reply, p_meta)
			WITH ORDINALITY AS r (conv, sender, key, content, reply, meta, ord)
	), old AS MATERIALIZED (
		SELECT r.ord, e.kind, e.conversation_id, e.rev, e.seq, e.at
		FROM r, LATERAL (
			SELECT e.kind, e.conversation_id, e.rev, e.seq, e.at FROM public.events e
			WHERE e.client_msg_id = r.key AND e.actor_id = r.sender LIMIT 1) AS e
	), base AS MATERIALIZED (
		SELECT c.id, coalesce(l.rev, c.base_rev) AS rev, coalesce(l.seq, c.base_seq) AS seq,
			greatest(p_at, l.at) AS at
		FROM unnest(p_ids) AS i (id)
		JOIN public.conversations c ON c.id = i.id AND c.closed_at IS NULL
		LEFT JOIN LATERAL (
			SELECT e.rev, e.seq, e.at FROM public.events e
			WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true
	), fresh AS MATERIALIZED (
		SELECT r.*, row_number() OVER (PARTITION BY r.conv ORDER BY r.ord) AS pos
		FROM r WHERE NOT EXISTS (SELECT 1 FROM old WHERE old.ord = r.ord)
	), stored AS (
		INSERT INTO public.events (conversation_id, rev, seq, actor_id, at, target_rev,
			client_msg_id, kind, content, meta)
		SELECT b.id, b.rev + f.pos, b.seq + f.pos, f.sender, b.at, f.reply, f.key, 1,
			f.content,
			f.meta::jsonb
		FROM fresh f JOIN base b ON b.id = f.conv
		ORDER BY f.key
	)
	SELECT f.ord::integer, b.id, b.rev + f.pos, b.seq + f.pos, public.epoch_ms(b.at),
		1::smallint
	FROM fresh f JOIN base b ON b.id = f.conv
	UNION ALL
	SELECT o.ord::integer, CASE o.kind WHEN 1 THEN o.conversation_id ELSE 0 END, o.rev, o.seq,
		public.epoch_ms(o.at), 2::smallint
	FROM old o
$$;
