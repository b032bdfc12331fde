-- SPDX-License-Identifier: MIT
-- How rows get into the log: under the lock of their conversation, numbered from its newest row.
-- Every writer of events takes the same lock: SELECT … FOR NO KEY UPDATE on the conversation,
-- several in ascending id. In READ COMMITTED the statement after the lock sees what the last
-- holder committed.

-- The decimal form of a message id: conversation * 2^32 + rev.
CREATE FUNCTION public.message_id(conversation bigint, rev bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN conversation * 4294967296 + rev;
COMMENT ON FUNCTION public.message_id(bigint, bigint) IS
	'Id of a message on surfaces that show integers';

-- The UUIDv8 form, bit by bit: conversation 48, version 4, rev 31..20 12, variant 2, rev 19..0
-- 20, and a tag of 42 bits (x2726f6f6d64) that tells these from other UUIDs of version 8. Same
-- as the server's.
CREATE FUNCTION public.message_uid(conversation bigint, rev bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN encode(
	int8send((conversation << 16) | (8 << 12) | ((rev >> 20) & 4095)) ||
	int8send((-9223372036854775808)::bigint | ((rev & 1048575) << 42) | 2690519100772),
	'hex')::uuid;
COMMENT ON FUNCTION public.message_uid(bigint, bigint) IS
	'Id of a message on surfaces that show UUIDs';

CREATE FUNCTION public.message_uid_conversation(uid uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('x' || substr(replace(uid::text, '-', ''), 1, 12))::bit(48)::bigint;
COMMENT ON FUNCTION public.message_uid_conversation(uuid) IS 'The conversation in a message_uid';

CREATE FUNCTION public.message_uid_rev(uid uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (('x' || substr(replace(uid::text, '-', ''), 14, 3))::bit(12)::bigint << 20)
	| ((('x' || substr(replace(uid::text, '-', ''), 17, 8))::bit(32)::bigint >> 10) & 1048575);
COMMENT ON FUNCTION public.message_uid_rev(uuid) IS 'The rev in a message_uid';

-- Many messages at once. p_ids: the conversations, ascending, each once; the other arrays: one
-- element per message, in the order of p_ids and inside a conversation in the order of sending;
-- p_pos counts from 1 inside each conversation.
-- Rows are inserted in the order of their keys: two batches that hold the same keys for different
-- conversations then wait for each other in one direction only.
-- The plans are generic: planning for the values of each batch costs as much as running it.
-- Answers with no key stored before: one row per conversation, status 0, with the numbers
-- reached before the batch; a message has rev + pos and seq + pos. Otherwise one row per
-- message, ord its place in the arrays: status 1 stored, 2 stored before (with its first
-- numbers). A conversation that is closed or unknown gives no rows.
CREATE FUNCTION public.persist_batch(
	p_ids bigint[], p_conv bigint[], p_pos integer[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	v_at timestamptz;
BEGIN
	PERFORM 1 FROM public.conversations c
	WHERE c.id = ANY (p_ids) AND c.closed_at IS NULL
	ORDER BY c.id
	FOR NO KEY UPDATE;
	v_at := public.now_ms();

	-- LIMIT keeps the planner at one index probe per key whatever it believes about the table.
	PERFORM 1 FROM unnest(p_key, p_sender) AS k (key, sender), LATERAL (
		SELECT 1 FROM public.events e
		WHERE e.client_msg_id = k.key AND e.actor_id = k.sender LIMIT 1) AS old;
	IF FOUND THEN
		RETURN QUERY SELECT * FROM public.persist_batch_again(
			v_at, p_ids, p_conv, p_sender, p_key, p_content, p_reply, p_meta);
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
	SELECT 0, b.id, b.rev, b.seq, public.epoch_ms(b.at), 0::smallint FROM base b;
END
$$;
COMMENT ON FUNCTION public.persist_batch IS
	'Stores many messages in one transaction and says the numbers of each; safe to repeat '
	'with the same keys';

-- The rest of persist_batch when some keys are stored already; the locks are held.
CREATE FUNCTION public.persist_batch_again(
	p_at timestamptz, p_ids bigint[], p_conv bigint[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint)
LANGUAGE sql VOLATILE
AS $$
	WITH r AS MATERIALIZED (
		SELECT * FROM unnest(p_conv, p_sender, p_key, p_content, p_reply, p_meta)
			WITH ORDINALITY AS r (conv, sender, key, content, reply, meta, ord)
	), old AS MATERIALIZED (
		SELECT r.ord, e.conversation_id, e.rev, e.seq, e.at
		FROM r, LATERAL (
			SELECT e.conversation_id, e.rev, e.seq, e.at FROM public.events e
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
	SELECT o.ord::integer, o.conversation_id, o.rev, o.seq, public.epoch_ms(o.at), 2::smallint
	FROM old o
$$;
COMMENT ON FUNCTION public.persist_batch_again IS
	'Called by persist_batch when a key is stored already';

-- One durable event that is no message: the next rev, the seq unchanged. No row: no such open
-- conversation. The key makes it safe to repeat; is_duplicate says it was stored before.
CREATE FUNCTION public.persist_event(
	p_conv bigint, p_kind smallint, p_actor bigint, p_target bigint, p_key uuid, p_content text,
	p_meta jsonb)
RETURNS TABLE (conv bigint, rev bigint, seq bigint, at_ms bigint, is_duplicate boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	PERFORM 1 FROM public.conversations c
	WHERE c.id = p_conv AND c.closed_at IS NULL FOR NO KEY UPDATE;
	RETURN QUERY
	SELECT e.conversation_id, e.rev, e.seq, public.epoch_ms(e.at), true FROM public.events e
	WHERE e.client_msg_id = p_key AND e.actor_id = p_actor;
	IF FOUND THEN
		RETURN;
	END IF;
	RETURN QUERY
	INSERT INTO public.events AS n (conversation_id, rev, seq, actor_id, at, target_rev,
		client_msg_id, kind, content, meta)
	SELECT c.id, coalesce(l.rev, c.base_rev) + 1, coalesce(l.seq, c.base_seq), p_actor,
		greatest(public.now_ms(), l.at), p_target, p_key, p_kind, p_content, p_meta
	FROM public.conversations c
	LEFT JOIN LATERAL (
		SELECT e.rev, e.seq, e.at FROM public.events e
		WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true
	WHERE c.id = p_conv AND c.closed_at IS NULL
	RETURNING n.conversation_id, n.rev, n.seq, public.epoch_ms(n.at), false;
END
$$;
COMMENT ON FUNCTION public.persist_event IS
	'Appends one event that is no message to the log of a conversation';

-- Closes a conversation: its last event, the mark and the audit row stand or fall together.
CREATE FUNCTION public.conversation_close(p_conv bigint, p_actor bigint)
RETURNS TABLE (conv bigint, rev bigint, seq bigint, at_ms bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v record;
BEGIN
	SELECT * INTO v
		FROM public.persist_event(p_conv, 11::smallint, p_actor, NULL, NULL, NULL, NULL);
	IF NOT FOUND THEN
		RETURN;
	END IF;
	UPDATE public.conversations SET closed_at = public.now_ms(), updated_at = public.now_ms()
	WHERE id = p_conv;
	INSERT INTO public.audit (actor_id, action, conversation_id)
	VALUES (p_actor, 'conversation.close', p_conv);
	RETURN QUERY SELECT v.conv, v.rev, v.seq, v.at_ms;
END
$$;
COMMENT ON FUNCTION public.conversation_close IS
	'Closes a conversation with its event and audit row; no row: nothing open';

-- The guest of a name, made at its first use. status 0 the guest, 1 an account has the name, 2
-- disabled.
CREATE FUNCTION public.guest_get(p_name text)
RETURNS TABLE (status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	IF EXISTS (SELECT 1 FROM public.users u WHERE lower(u.username) = lower(p_name)) OR EXISTS (
		SELECT 1 FROM public.users u
			WHERE u.kind <> 'guest' AND lower(u.name) = lower(p_name))
	THEN
		RETURN QUERY SELECT 1::smallint, NULL::bigint, NULL::uuid, NULL::text;
		RETURN;
	END IF;
	FOR i IN 1..2 LOOP
		RETURN QUERY
		SELECT CASE WHEN u.disabled_at IS NULL THEN 0 ELSE 2 END::smallint, u.id, u.uid,
			u.name
		FROM public.users u WHERE u.kind = 'guest' AND u.name = p_name;
		EXIT WHEN FOUND;
		INSERT INTO public.users (kind, name) VALUES ('guest', p_name)
			ON CONFLICT DO NOTHING;
	END LOOP;
END
$$;
COMMENT ON FUNCTION public.guest_get IS
	'Finds or makes the guest of a name; never one whose name is an account''s';
