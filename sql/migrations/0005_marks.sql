-- SPDX-License-Identifier: MIT
-- Read and delivered marks, and the unread counters that follow from them. Nothing is counted on
-- the way: unread = newest seq - read_seq - deleted messages above read_seq, so a message, a mark,
-- a deletion and a recovery change the counter in their own transaction. What one has sent has
-- been read: persist_batch raises the mark of a sender who has one.

ALTER TABLE public.members ADD COLUMN marks_at timestamptz;
COMMENT ON COLUMN public.members.marks_at IS 'When a mark was last set, other than by sending';
COMMENT ON COLUMN public.members.left_at IS
	'NULL while a member. A row made by a mark alone has it from the start: state, not '
	'membership';

-- Whether somebody has marks in a conversation. A batch reads it with the lock it takes anyway, so
-- rooms without members pay nothing for the marks of senders.
ALTER TABLE public.conversations ADD COLUMN has_members boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN public.conversations.has_members IS
	'There are or were rows in members; kept by a trigger, read by persist_batch';

CREATE FUNCTION public.members_noted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	UPDATE public.conversations c SET has_members = true
	WHERE c.id = NEW.conversation_id AND NOT c.has_members;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.members_noted IS 'Keeps conversations.has_members';
CREATE TRIGGER members_noted AFTER INSERT ON public.members
	FOR EACH ROW EXECUTE FUNCTION public.members_noted();
UPDATE public.conversations c SET has_members = true
WHERE EXISTS (SELECT 1 FROM public.members m WHERE m.conversation_id = c.id);

-- In PL/pgSQL because its plan outlives the query: a function in SQL with a subquery is planned
-- again by every query that uses it.
CREATE FUNCTION public.unread_of(p_conv bigint, p_user bigint) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
BEGIN
	RETURN (
		SELECT coalesce(
			(SELECT e.seq FROM public.events e
				WHERE e.conversation_id = m.conversation_id
				ORDER BY e.rev DESC LIMIT 1),
			(SELECT c.base_seq FROM public.conversations c
				WHERE c.id = m.conversation_id))
			- m.read_seq
			- (SELECT count(*) FROM public.events d
				WHERE d.conversation_id = m.conversation_id AND d.seq > m.read_seq
				AND d.deleted_at IS NOT NULL)
		FROM public.members m WHERE m.conversation_id = p_conv AND m.user_id = p_user);
END
$$;
COMMENT ON FUNCTION public.unread_of IS
	'Messages of others above the read mark that are not deleted; NULL without marks';

-- The rev of the message numbered p_seq, known to lie from p_low to p_high.
CREATE FUNCTION public.rev_of_seq(p_conv bigint, p_seq bigint, p_low bigint, p_high bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
	v_mid bigint;
	v_seq bigint;
BEGIN
	WHILE p_low < p_high LOOP
		v_mid := p_low + (p_high - p_low) / 2;
		SELECT e.seq INTO v_seq FROM public.events e
		WHERE e.conversation_id = p_conv AND e.rev >= v_mid ORDER BY e.rev LIMIT 1;
		IF v_seq >= p_seq THEN
			p_high := v_mid;
		ELSE
			p_low := v_mid + 1;
		END IF;
	END LOOP;
	RETURN p_high;
END
$$;
COMMENT ON FUNCTION public.rev_of_seq IS 'Where a message is, by halving: seq never falls with rev';

-- A row for the marks of somebody who is no member. Their own messages have been read, and so has
-- what lies more than 1,000 rows back: looking further would cost without end. The lock keeps a
-- message that is being sent from slipping between the look and the row.
CREATE FUNCTION public.marks_open(p_conv bigint, p_user bigint) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM 1 FROM public.conversations c WHERE c.id = p_conv FOR NO KEY UPDATE;
	INSERT INTO public.members (conversation_id, user_id, left_at, read_rev, read_seq)
	SELECT p_conv, p_user, public.now_ms(), coalesce(r.rev, c.base_rev),
		coalesce(r.seq, c.base_seq)
	FROM public.conversations c LEFT JOIN LATERAL (
		SELECT CASE WHEN l.is_own THEN l.rev ELSE l.rev - 1 END AS rev,
			CASE WHEN l.is_own OR l.kind <> 1 THEN l.seq ELSE l.seq - 1 END AS seq
		FROM (
			SELECT e.rev, e.seq, e.kind, e.kind = 1 AND e.actor_id = p_user AS is_own
			FROM public.events e WHERE e.conversation_id = p_conv
			ORDER BY e.rev DESC LIMIT 1000) AS l
		ORDER BY l.is_own DESC, CASE WHEN l.is_own THEN -l.rev ELSE l.rev END
		LIMIT 1) AS r ON true
	WHERE c.id = p_conv
	ON CONFLICT DO NOTHING;
END
$$;
COMMENT ON FUNCTION public.marks_open IS
	'Makes the row for the marks of somebody without membership';

-- Raises one mark, never back, at most to the newest message. p_kind: read or delivered. No row: no
-- such open conversation or user.
CREATE FUNCTION public.mark_set(p_conv bigint, p_user bigint, p_kind text, p_seq bigint)
RETURNS TABLE (seq bigint, unread bigint, at_ms bigint, is_changed boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	m public.members;
	v_head_rev bigint;
	v_head_seq bigint;
	v_seq bigint;
	v_rev bigint;
	v_at timestamptz;
	v_is_changed boolean := false;
BEGIN
	SELECT coalesce(l.rev, c.base_rev), coalesce(l.seq, c.base_seq)
	INTO v_head_rev, v_head_seq
	FROM public.conversations c LEFT JOIN LATERAL (
		SELECT e.rev, e.seq FROM public.events e
		WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true
	WHERE c.id = p_conv AND c.closed_at IS NULL;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	v_seq := least(p_seq, v_head_seq);
	SELECT x.* INTO m FROM public.members x
	WHERE x.conversation_id = p_conv AND x.user_id = p_user;
	IF NOT FOUND THEN
		IF NOT EXISTS (SELECT 1 FROM public.users u WHERE u.id = p_user) THEN
			RETURN;
		END IF;
		PERFORM public.marks_open(p_conv, p_user);
		SELECT x.* INTO m FROM public.members x
		WHERE x.conversation_id = p_conv AND x.user_id = p_user;
	END IF;
	IF v_seq > (CASE WHEN p_kind = 'read' THEN m.read_seq
		ELSE greatest(m.read_seq, m.delivered_seq) END)
	THEN
		v_at := public.now_ms();
		v_rev := CASE WHEN v_seq = v_head_seq THEN v_head_rev
			ELSE public.rev_of_seq(p_conv, v_seq, v_seq,
				v_seq + v_head_rev - v_head_seq) END;
		IF p_kind = 'read' THEN
			UPDATE public.members x SET read_seq = v_seq, marks_at = v_at,
				read_rev = greatest(x.read_rev, v_rev)
			WHERE x.conversation_id = p_conv AND x.user_id = p_user
			AND x.read_seq < v_seq;
		ELSE
			UPDATE public.members x SET delivered_seq = v_seq, marks_at = v_at,
				delivered_rev = greatest(x.delivered_rev, v_rev)
			WHERE x.conversation_id = p_conv AND x.user_id = p_user
			AND greatest(x.read_seq, x.delivered_seq) < v_seq;
		END IF;
		v_is_changed := FOUND;
		IF v_is_changed THEN
			INSERT INTO public.receipt_log
				(conversation_id, user_id, kind, up_to_seq, at)
			VALUES (p_conv, p_user, p_kind, v_seq, v_at)
			ON CONFLICT DO NOTHING;
		END IF;
	END IF;
	RETURN QUERY
	SELECT CASE WHEN p_kind = 'read' THEN x.read_seq
		ELSE greatest(x.read_seq, x.delivered_seq) END,
		public.unread_of(p_conv, p_user),
		CASE WHEN v_is_changed THEN public.epoch_ms(v_at) ELSE 0 END, v_is_changed
	FROM public.members x WHERE x.conversation_id = p_conv AND x.user_id = p_user;
END
$$;
COMMENT ON FUNCTION public.mark_set IS
	'Raises a read or delivered mark and answers the unread count';

-- What one has sent has been read. Called by persist_batch, which holds the locks; the messages
-- are found by their keys, because some may have been stored before under other numbers.
CREATE FUNCTION public.senders_have_read(
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
			AND e.conversation_id = r.conv LIMIT 1) AS e
		GROUP BY r.conv, r.sender) AS s
	WHERE m.conversation_id = s.conv AND m.user_id = s.sender AND m.read_seq < s.seq;
END
$$;
COMMENT ON FUNCTION public.senders_have_read IS 'Raises the read marks of senders who have one';

-- As in 0002_log.sql, and the marks of the senders.
CREATE OR REPLACE FUNCTION public.persist_batch(
	p_ids bigint[], p_conv bigint[], p_pos integer[], p_sender bigint[], p_key uuid[],
	p_content text[], p_reply bigint[], p_meta text[])
RETURNS TABLE (ord integer, conv bigint, rev bigint, seq bigint, at_ms bigint, status smallint)
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
	SELECT 0, b.id, b.rev, b.seq, public.epoch_ms(b.at), 0::smallint FROM base b;
	IF v_has_members THEN
		PERFORM public.senders_have_read(p_conv, p_sender, p_key);
	END IF;
END
$$;
