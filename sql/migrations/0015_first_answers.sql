-- SPDX-License-Identifier: MIT
-- A message that was stored under its key is answered as it stands in the log: with its text and
-- what it replies to, whatever the repetition says. And a key that stands for a change raises no
-- mark: it is no message that its sender has read.

DROP FUNCTION public.persist_batch(bigint[], bigint[], integer[], bigint[], uuid[], text[], bigint[],
	text[]);
DROP FUNCTION public.persist_batch_again(timestamptz, bigint[], bigint[], bigint[], uuid[], text[],
	bigint[], text[]);

-- As in 0010_key_of_a_change.sql; of what was stored before also its present text (NULL: it is
-- deleted) and the rev it replies to.
CREATE FUNCTION public.persist_batch_again(
	p_at timestamptz, p_ids bigint[], p_conv bigint[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint,
	content text, reply bigint)
LANGUAGE sql VOLATILE
AS $$
	WITH r AS MATERIALIZED (
		SELECT * FROM unnest(p_conv, p_sender, p_key, p_content, p_reply, p_meta)
			WITH ORDINALITY AS r (conv, sender, key, content, reply, meta, ord)
	), old AS MATERIALIZED (
		SELECT r.ord, e.*
		FROM r, LATERAL (
			SELECT e.kind, e.conversation_id, e.rev, e.seq, e.at, e.target_rev,
				CASE WHEN e.deleted_at IS NULL THEN e.content END AS content
			FROM public.events e
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
		1::smallint, NULL::text, NULL::bigint
	FROM fresh f JOIN base b ON b.id = f.conv
	UNION ALL
	SELECT o.ord::integer, CASE o.kind WHEN 1 THEN o.conversation_id ELSE 0 END, o.rev, o.seq,
		public.epoch_ms(o.at), 2::smallint, o.content, o.target_rev
	FROM old o
$$;
COMMENT ON FUNCTION public.persist_batch_again IS
	'Called by persist_batch when a key is stored already';

-- As in 0005_marks.sql, with the columns of persist_batch_again.
CREATE FUNCTION public.persist_batch(
	p_ids bigint[], p_conv bigint[], p_pos integer[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint,
	content text, reply bigint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	v_at timestamptz;
	v_has_members boolean;
BEGIN
	SELECT bool_or(l.has_members) INTO v_has_members FROM (
		SELECT c.has_members FROM public.conversations c
		WHERE c.id = ANY (p_ids) AND c.closed_at IS NULL
		ORDER BY c.id
		FOR NO KEY UPDATE) AS l;
	v_at := public.now_ms();

	-- LIMIT keeps the planner at one index probe per key whatever it believes about the table.
	PERFORM 1 FROM unnest(p_key, p_sender) AS k (key, sender), LATERAL (
		SELECT 1 FROM public.events e
		WHERE e.client_msg_id = k.key AND e.actor_id = k.sender LIMIT 1) AS old;
	IF FOUND THEN
		RETURN QUERY SELECT * FROM public.persist_batch_again(
			v_at, p_ids, p_conv, p_sender, p_key, p_content, p_reply, p_meta);
		IF v_has_members THEN
			PERFORM public.senders_have_read(p_conv, p_sender, p_key);
		END IF;
		RETURN;
	END IF;

	RETURN QUERY
	WITH base AS MATERIALIZED (
		SELECT c.id, coalesce(l.rev, c.base_rev) AS rev, coalesce(l.seq, c.base_seq) AS seq,
			greatest(v_at, l.at) AS at
		FROM unnest(p_ids) AS i (id)
		JOIN public.conversations c ON c.id = i.id AND c.closed_at IS NULL
		LEFT JOIN LATERAL (
			SELECT e.rev, e.seq, e.at FROM public.events e
			WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true
	), stored AS (
		INSERT INTO public.events (conversation_id, rev, seq, actor_id, at, target_rev,
			client_msg_id, kind, content, meta)
		SELECT b.id, b.rev + r.pos, b.seq + r.pos, r.sender, b.at, r.reply, r.key, 1,
			r.content,
			r.meta::jsonb
		FROM unnest(p_conv, p_pos, p_sender, p_key, p_content, p_reply, p_meta)
			AS r (conv, pos, sender, key, content, reply, meta)
		JOIN base b ON b.id = r.conv
		ORDER BY r.key
	)
	SELECT 0, b.id, b.rev, b.seq, public.epoch_ms(b.at), 0::smallint, NULL::text, NULL::bigint
	FROM base b;
	IF v_has_members THEN
		PERFORM public.senders_have_read(p_conv, p_sender, p_key);
	END IF;
END
$$;
COMMENT ON FUNCTION public.persist_batch IS
	'Stores many messages in one transaction and says the numbers of each; safe to repeat '
	'with the same keys';

-- As in 0005_marks.sql, for messages alone.
CREATE OR REPLACE FUNCTION public.senders_have_read(
	p_conv bigint[], p_sender bigint[], p_key uuid[])
RETURNS void
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
	UPDATE public.members m SET read_rev = greatest(m.read_rev, s.rev), read_seq = s.seq
	FROM (
		SELECT r.conv, r.sender, max(e.rev) AS rev, max(e.seq) AS seq
		FROM unnest(p_conv, p_sender, p_key) AS r (conv, sender, key)
		JOIN public.conversations c ON c.id = r.conv AND c.has_members, LATERAL (
			SELECT e.rev, e.seq FROM public.events e
			WHERE e.client_msg_id = r.key AND e.actor_id = r.sender
			AND e.conversation_id = r.conv AND e.kind = 1 LIMIT 1) AS e
		GROUP BY r.conv, r.sender) AS s
	WHERE m.conversation_id = s.conv AND m.user_id = s.sender AND m.read_seq < s.seq;
END
$$;
