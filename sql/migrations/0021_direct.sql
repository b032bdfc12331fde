-- SPDX-License-Identifier: MIT
-- The conversation of two people, found or made by naming the other one; people by whom somebody
-- does not want to be written to; and marks that name a message in the place of its number.

-- ---- Two people ----

CREATE FUNCTION public.direct_key(a bigint, b bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(a, b) || ':' || greatest(a, b);
COMMENT ON FUNCTION public.direct_key IS 'conversations.direct_key of a pair, in either order';

CREATE FUNCTION public.direct_peer(p_key text, p_user bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN split_part(p_key, ':', 1)::bigint = p_user
	THEN split_part(p_key, ':', 2)::bigint ELSE split_part(p_key, ':', 1)::bigint END;
COMMENT ON FUNCTION public.direct_peer IS 'The other one of a pair';

CREATE TABLE public.user_blocks (
	user_id bigint NOT NULL CONSTRAINT user_blocks_user_fkey
		REFERENCES public.users (id) ON DELETE CASCADE,
	blocked_id bigint NOT NULL CONSTRAINT user_blocks_blocked_fkey
		REFERENCES public.users (id) ON DELETE CASCADE,
	at timestamptz NOT NULL DEFAULT public.now_ms(),
	CONSTRAINT user_blocks_pkey PRIMARY KEY (user_id, blocked_id),
	CONSTRAINT user_blocks_other_check CHECK (user_id <> blocked_id)
);
CREATE INDEX user_blocks_blocked_idx ON public.user_blocks (blocked_id);
COMMENT ON TABLE public.user_blocks IS
	'Who may only read in the conversation of the two: blocked_id, while the row is there';

-- Whom somebody did not want to hear from is his own affair: it goes with him (account_erase).
CREATE FUNCTION public.blocks_forgotten() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	DELETE FROM public.user_blocks b WHERE b.user_id = NEW.id;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION public.blocks_forgotten IS 'Deletes the blocks of who erases the account';
CREATE TRIGGER blocks_forgotten AFTER UPDATE OF erased_at ON public.users
	FOR EACH ROW WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION public.blocks_forgotten();

CREATE FUNCTION public.is_blocked(p_key text, p_user bigint) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_key IS NOT NULL AND EXISTS (SELECT 1 FROM public.user_blocks b
	WHERE b.user_id = public.direct_peer(p_key, p_user) AND b.blocked_id = p_user);
COMMENT ON FUNCTION public.is_blocked IS 'Whether the other one of a pair has blocked this one';

-- The conversation of p_user with p_peer, or with the one of p_uid: the same row however often, by
-- whichever of the two and at what moment it is asked for. Whoever has left it is in it again.
-- status: 0 it was there as it is now, 1 something was made, 3 it is closed, 4 there is nobody of
-- that id, 5 it would have to be made for somebody whom the other has blocked, 8 p_user means
-- himself.
CREATE FUNCTION public.direct_open(p_user bigint, p_peer bigint, p_uid uuid)
RETURNS TABLE (status smallint, conv bigint, peer bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_peer bigint;
	v_key text;
	v_conv bigint;
	v_is_closed boolean;
	v_members bigint;
	v_made boolean;
BEGIN
	IF p_peer IS NOT NULL THEN
		SELECT u.id INTO v_peer FROM public.users u
		WHERE u.id = p_peer AND u.disabled_at IS NULL AND u.kind <> 'system';
	ELSE
		SELECT u.id INTO v_peer FROM public.users u
		WHERE u.uid = p_uid AND u.disabled_at IS NULL AND u.kind <> 'system';
	END IF;
	IF v_peer IS NULL OR v_peer = p_user THEN
		RETURN QUERY SELECT CASE WHEN v_peer IS NULL THEN 4 ELSE 8 END::smallint, 0::bigint,
			0::bigint;
		RETURN;
	END IF;
	v_key := public.direct_key(p_user, v_peer);
	SELECT c.id, c.closed_at IS NOT NULL,
		(SELECT count(*) FROM public.members m WHERE m.conversation_id = c.id
			AND m.user_id IN (p_user, v_peer) AND (m.left_at IS NULL OR m.role = 'banned'))
	INTO v_conv, v_is_closed, v_members
	FROM public.conversations c WHERE c.direct_key = v_key;
	IF v_conv IS NULL OR (v_members < 2 AND NOT v_is_closed) THEN
		IF public.is_blocked(v_key, p_user) THEN
			RETURN QUERY SELECT 5::smallint, 0::bigint, v_peer;
			RETURN;
		END IF;
		INSERT INTO public.conversations (kind, direct_key, created_by)
		VALUES ('direct', v_key, p_user) ON CONFLICT (direct_key) DO NOTHING;
		SELECT c.id, c.closed_at IS NOT NULL INTO v_conv, v_is_closed
		FROM public.conversations c WHERE c.direct_key = v_key;
		INSERT INTO public.members AS m (conversation_id, user_id)
		VALUES (v_conv, least(p_user, v_peer)), (v_conv, greatest(p_user, v_peer))
		ON CONFLICT (conversation_id, user_id) DO UPDATE
		SET left_at = NULL, joined_at = public.now_ms()
		WHERE m.left_at IS NOT NULL AND m.role <> 'banned';
		v_made := FOUND;
	END IF;
	RETURN QUERY SELECT CASE WHEN v_is_closed THEN 3 WHEN v_made THEN 1 ELSE 0 END::smallint,
		v_conv, v_peer;
END
$$;
COMMENT ON FUNCTION public.direct_open IS 'Finds or makes the conversation of two people';

-- status: 0 done, 2 it was so already, 4 there is nobody of that id, 8 p_user means himself. conv
-- is the conversation of the two, 0 when they have none.
CREATE FUNCTION public.user_block(p_user bigint, p_other bigint, p_on boolean)
RETURNS TABLE (status smallint, conv bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_conv bigint;
	v_status smallint := 2;
BEGIN
	IF p_other = p_user OR NOT EXISTS (SELECT 1 FROM public.users u WHERE u.id = p_other) THEN
		RETURN QUERY SELECT CASE WHEN p_other = p_user THEN 8 ELSE 4 END::smallint,
			0::bigint;
		RETURN;
	END IF;
	IF p_on THEN
		INSERT INTO public.user_blocks (user_id, blocked_id) VALUES (p_user, p_other)
		ON CONFLICT DO NOTHING;
	ELSE
		DELETE FROM public.user_blocks b WHERE b.user_id = p_user AND b.blocked_id = p_other;
	END IF;
	IF FOUND THEN
		v_status := 0;
		UPDATE public.members m SET roles_xid = pg_current_xact_id()
		FROM public.conversations c
		WHERE c.direct_key = public.direct_key(p_user, p_other)
		AND m.conversation_id = c.id AND m.user_id = p_other
		RETURNING c.id INTO v_conv;
	END IF;
	RETURN QUERY SELECT v_status, coalesce(v_conv, 0);
END
$$;
COMMENT ON FUNCTION public.user_block IS
	'Keeps somebody from writing to somebody else, or lets him again';

-- As in 0012_roles.sql; whom the other one of a pair has blocked may read. low and high
-- are that pair, 0 elsewhere.
DROP FUNCTION public.roles_of(bigint[], bigint[], integer);
CREATE FUNCTION public.roles_of(p_convs bigint[], p_users bigint[], p_most integer)
RETURNS TABLE (conv bigint, is_open boolean, is_owned boolean, is_closed boolean, slow_ms bigint,
	user_id bigint, role text, is_member boolean, muted_until bigint, banned_until bigint,
	low bigint, high bigint)
LANGUAGE sql STABLE
AS $$
	SELECT c.id, c.kind = 'room',
		c.created_by IS NOT NULL OR EXISTS (SELECT 1 FROM public.members o
			WHERE o.conversation_id = c.id AND o.role = 'owner' AND o.left_at IS NULL),
		c.closed_at IS NOT NULL,
		coalesce((c.settings->>'slow_mode')::bigint, 0) * 1000,
		m.user_id,
		CASE WHEN m.role <> 'banned' AND public.is_blocked(c.direct_key, m.user_id)
			THEN 'read-only' ELSE m.role END,
		m.left_at IS NULL,
		CASE WHEN m.muted_until = 'infinity' THEN 9223372036854775807
			ELSE coalesce(public.epoch_ms(m.muted_until), 0) END,
		coalesce(public.epoch_ms(m.banned_until), 0),
		coalesce(split_part(c.direct_key, ':', 1)::bigint, 0),
		coalesce(split_part(c.direct_key, ':', 2)::bigint, 0)
	FROM (SELECT DISTINCT t.conv FROM unnest(p_convs) AS t (conv)) AS a
	JOIN public.conversations c ON c.id = a.conv
	LEFT JOIN LATERAL (
		(SELECT x.user_id, x.role, x.left_at, x.muted_until, x.banned_until
			FROM public.members x
			WHERE x.conversation_id = c.id AND c.kind = 'room'
			AND (x.role <> 'member' OR x.muted_until IS NOT NULL) LIMIT p_most)
		UNION
		SELECT x.user_id, x.role, x.left_at, x.muted_until, x.banned_until
			FROM unnest(p_convs, p_users) AS p (conv, usr)
			JOIN public.members x ON x.conversation_id = p.conv AND x.user_id = p.usr
			WHERE p.conv = c.id
	) AS m ON true
	ORDER BY c.id
$$;
COMMENT ON FUNCTION public.roles_of IS 'What people are in conversations, for the workers';

-- ---- Marks ----

-- Messages are numbered by seq; where it was the newest row's, no search is needed.
CREATE FUNCTION public.message_of_seq(
	p_conv bigint, p_seq bigint, p_head_rev bigint, p_head_seq bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
BEGIN
	IF p_seq <= 0 THEN
		RETURN 0;
	END IF;
	IF p_seq = p_head_seq AND EXISTS (SELECT 1 FROM public.events e
		WHERE e.conversation_id = p_conv AND e.rev = p_head_rev AND e.kind = 1)
	THEN
		RETURN p_head_rev;
	END IF;
	RETURN public.rev_of_seq(p_conv, p_seq, p_seq, p_seq + p_head_rev - p_head_seq);
END
$$;
COMMENT ON FUNCTION public.message_of_seq IS 'The rev of the message of a number; 0 has none';

-- As in 0005_marks.sql. p_rev names a message, which p_seq is then the number of: no such message,
-- no mark, and seq -1. rev is that of the message at which the mark stands now, unless nobody asked
-- (p_rev NULL) and nothing changed; count is how many messages became read.
DROP FUNCTION public.mark_set(bigint, bigint, text, bigint);
CREATE FUNCTION public.mark_set(
	p_conv bigint, p_user bigint, p_kind text, p_seq bigint, p_rev bigint DEFAULT NULL)
RETURNS TABLE (seq bigint, unread bigint, at_ms bigint, is_changed boolean, rev bigint,
	count bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	m public.members;
	v_head_rev bigint;
	v_head_seq bigint;
	v_seq bigint;
	v_old bigint;
	v_rev bigint;
	v_count bigint := 0;
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
	IF p_rev > 0 THEN
		SELECT e.seq INTO p_seq FROM public.events e
		WHERE e.conversation_id = p_conv AND e.rev = p_rev AND e.kind = 1;
		IF NOT FOUND THEN
			RETURN QUERY SELECT -1::bigint, 0::bigint, 0::bigint, false, 0::bigint,
				0::bigint;
			RETURN;
		END IF;
	END IF;
	v_seq := least(p_seq, greatest(v_head_seq, CASE WHEN p_rev > 0 THEN p_seq END));
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
			SELECT x.read_seq INTO v_old FROM public.members x
			WHERE x.conversation_id = p_conv AND x.user_id = p_user FOR NO KEY UPDATE;
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
		IF v_is_changed AND p_kind = 'read' THEN
			v_count := v_seq - v_old - (SELECT count(*) FROM public.events d
				WHERE d.conversation_id = p_conv AND d.seq > v_old AND d.seq <= v_seq
				AND d.kind = 1 AND d.deleted_at IS NOT NULL);
		END IF;
	END IF;
	RETURN QUERY
	SELECT y.seq, public.unread_of(p_conv, p_user),
		CASE WHEN v_is_changed THEN public.epoch_ms(v_at) ELSE 0 END, v_is_changed,
		CASE WHEN v_is_changed OR p_rev IS NOT NULL
			THEN public.message_of_seq(p_conv, y.seq, v_head_rev, v_head_seq) ELSE 0 END,
		v_count
	FROM public.members x, LATERAL (SELECT CASE WHEN p_kind = 'read' THEN x.read_seq
		ELSE greatest(x.read_seq, x.delivered_seq) END) AS y (seq)
	WHERE x.conversation_id = p_conv AND x.user_id = p_user;
END
$$;
COMMENT ON FUNCTION public.mark_set IS
	'Raises a read or delivered mark and answers the unread count';
