-- SPDX-License-Identifier: MIT
-- What people may do in a conversation beyond being in it: read-only members, bans that end, mutes,
-- slow mode, reports; and an audit log that nobody changes unseen.

-- ---- Members ----

ALTER TABLE public.members DROP CONSTRAINT members_role_check;
ALTER TABLE public.members ADD CONSTRAINT members_role_check CHECK
	(role IN ('owner', 'admin', 'moderator', 'member', 'read-only', 'banned')) NOT VALID;
ALTER TABLE public.members
	ADD COLUMN banned_until timestamptz,
	ADD COLUMN ban_reason text
		CONSTRAINT members_ban_reason_check CHECK (char_length(ban_reason) <= 500),
	ADD COLUMN mute_reason text
		CONSTRAINT members_mute_reason_check CHECK (char_length(mute_reason) <= 500),
	ADD COLUMN roles_at timestamptz;
COMMENT ON COLUMN public.members.muted_until IS 'May not speak until then; infinity: for good';
COMMENT ON COLUMN public.members.banned_until IS 'Role banned: until then; NULL: for good';
COMMENT ON COLUMN public.members.roles_at IS
	'When it last changed what the user may do here: what workers look for';
CREATE INDEX members_roles_at_idx ON public.members (roles_at) WHERE roles_at IS NOT NULL;
CREATE INDEX members_exceptions_idx ON public.members (conversation_id, user_id)
	WHERE role <> 'member' OR muted_until IS NOT NULL;

CREATE FUNCTION public.members_changed() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.left_at IS NULL OR NEW.role <> 'member' OR NEW.muted_until IS NOT NULL THEN
			NEW.roles_at := public.now_ms();
		END IF;
	ELSIF (OLD.role, OLD.left_at IS NULL, OLD.muted_until, OLD.banned_until) IS DISTINCT FROM
		(NEW.role, NEW.left_at IS NULL, NEW.muted_until, NEW.banned_until)
	THEN
		NEW.roles_at := public.now_ms();
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION public.members_changed IS 'Keeps members.roles_at';
-- Marks are raised often and name none of these columns: they pay nothing.
CREATE TRIGGER members_changed
	BEFORE INSERT OR UPDATE OF role, left_at, muted_until, banned_until ON public.members
	FOR EACH ROW EXECUTE FUNCTION public.members_changed();

-- A ban that has ended is a row like that of somebody who has left.
CREATE FUNCTION public.is_banned(p_role text, p_until timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
RETURN p_role = 'banned' AND (p_until IS NULL OR p_until > clock_timestamp());
COMMENT ON FUNCTION public.is_banned IS 'Whether a ban is in force';

-- What the cache of a worker keeps: for each pair its row, and of rooms that are open to all every
-- row that makes a difference, at most p_most per room. user_id is NULL where there is none.
-- Times are milliseconds since 1970, 0 for none, the largest number for ever.
CREATE FUNCTION public.roles_of(p_convs bigint[], p_users bigint[], p_most integer)
RETURNS TABLE (conv bigint, is_open boolean, is_owned boolean, is_closed boolean, slow_ms bigint,
	user_id bigint, role text, is_member boolean, muted_until bigint, banned_until bigint)
LANGUAGE sql STABLE
AS $$
	SELECT c.id, c.kind = 'room',
		c.created_by IS NOT NULL OR EXISTS (SELECT 1 FROM public.members o
			WHERE o.conversation_id = c.id AND o.role = 'owner' AND o.left_at IS NULL),
		c.closed_at IS NOT NULL,
		coalesce((c.settings->>'slow_mode')::bigint, 0) * 1000,
		m.user_id, m.role, m.left_at IS NULL,
		CASE WHEN m.muted_until = 'infinity' THEN 9223372036854775807
			ELSE coalesce(public.epoch_ms(m.muted_until), 0) END,
		coalesce(public.epoch_ms(m.banned_until), 0)
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

-- ---- Changes ----

-- As in 0006_sync.sql, with bans that end; a code opens its room to those who are members of it.
CREATE OR REPLACE FUNCTION public.sync_ranges(
	p_user bigint, p_convs bigint[], p_revs bigint[], p_limit integer)
RETURNS TABLE (ord bigint, conv bigint, first_rev bigint, last_rev bigint, is_gap boolean)
LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
	v record;
	v_first bigint;
	v_last bigint;
	v_left bigint := p_limit;
BEGIN
	FOR v IN
		SELECT p.ord, c.id, c.base_rev,
			greatest(p.rev, coalesce(m.visible_from_rev, 0), 0) AS rev
		FROM unnest(p_convs, p_revs) WITH ORDINALITY AS p (conv, rev, ord)
		JOIN public.conversations c ON c.id = p.conv
		LEFT JOIN public.members m ON m.conversation_id = c.id AND m.user_id = p_user
		WHERE NOT coalesce(public.is_banned(m.role, m.banned_until), false) AND (c.kind = 'room'
			OR m.user_id IS NOT NULL AND m.left_at IS NULL)
		UNION ALL
		SELECT cardinality(p_convs) + row_number() OVER (ORDER BY c.id), c.id, c.base_rev,
			greatest(m.visible_from_rev, m.joined_rev - 1, 0)
		FROM public.members m JOIN public.conversations c ON c.id = m.conversation_id
		WHERE m.user_id = p_user AND m.left_at IS NULL AND m.role <> 'banned'
		AND c.closed_at IS NULL AND c.id <> ALL (p_convs)
		ORDER BY 1
	LOOP
		EXIT WHEN v_left <= 0;
		SELECT e.rev INTO v_last FROM public.events e
		WHERE e.conversation_id = v.id ORDER BY e.rev DESC LIMIT 1;
		v_last := coalesce(v_last, v.base_rev);
		CONTINUE WHEN v_last <= v.rev;
		SELECT e.rev INTO v_first FROM public.events e
		WHERE e.conversation_id = v.id AND e.rev > v.rev ORDER BY e.rev LIMIT 1;
		v_first := coalesce(v_first, v_last + 1);
		ord := v.ord;
		conv := v.id;
		first_rev := v_first;
		is_gap := v_first > v.rev + 1;
		v_left := v_left - is_gap::integer;
		last_rev := least(v_last, v_first + v_left - 1);
		v_left := v_left - (last_rev - first_rev + 1);
		RETURN NEXT;
	END LOOP;
END
$$;

-- As in 0004_changes.sql, with bans that end.
CREATE OR REPLACE FUNCTION public.change_reaction(
	p_conv bigint, p_kind smallint, p_actor bigint, p_target bigint, p_emoji text,
	p_at timestamptz)
RETURNS public.change_verdict
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v public.change_verdict;
	v_own bigint;
BEGIN
	SELECT 0, NULL, e.seq, e.actor_id, NULL INTO v FROM public.events e
	WHERE e.conversation_id = p_conv AND e.rev = p_target AND e.kind = 1
	AND e.deleted_at IS NULL;
	IF NOT FOUND THEN
		v.status := 4;
		RETURN v;
	END IF;
	IF EXISTS (SELECT 1 FROM public.members b WHERE b.conversation_id = p_conv
		AND b.user_id = p_actor AND public.is_banned(b.role, b.banned_until))
	THEN
		v.status := 5;
		RETURN v;
	END IF;
	IF p_kind = 6 THEN
		DELETE FROM public.reactions r WHERE r.conversation_id = p_conv
		AND r.rev = p_target AND r.user_id = p_actor AND r.emoji = p_emoji;
		IF NOT FOUND THEN
			v.status := 2;
		END IF;
		RETURN v;
	END IF;
	SELECT count(*), max(r.at) FILTER (WHERE r.emoji = p_emoji) INTO v_own, v.since
	FROM public.reactions r
	WHERE r.conversation_id = p_conv AND r.rev = p_target AND r.user_id = p_actor;
	IF v.since IS NOT NULL THEN
		v.status := 2;
	ELSIF v_own >= 32 THEN
		v.status := 7;
	ELSE
		INSERT INTO public.reactions (conversation_id, rev, user_id, emoji, at)
		VALUES (p_conv, p_target, p_actor, p_emoji, p_at);
	END IF;
	RETURN v;
END
$$;

-- As in 0004_changes.sql, with bans that end, reasons, and a last owner who stays.
DROP FUNCTION public.change_member(bigint, smallint, bigint, bigint, text, boolean, bigint, bigint,
	timestamptz);
CREATE FUNCTION public.change_member(
	p_conv bigint, p_kind smallint, p_actor bigint, p_subject bigint, p_role text,
	p_may_moderate boolean, p_rev bigint, p_seq bigint, p_at timestamptz,
	p_until_ms bigint, p_reason text, p_address text)
RETURNS public.change_verdict
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m public.members;
	v public.change_verdict;
	v_is_member boolean;
	v_is_banned boolean;
	v_until timestamptz := to_timestamp(nullif(p_until_ms, 0) / 1000.0);
BEGIN
	v.status := 0;
	SELECT * INTO m FROM public.members x
	WHERE x.conversation_id = p_conv AND x.user_id = p_subject;
	v_is_banned := coalesce(public.is_banned(m.role, m.banned_until), false);
	v_is_member := FOUND AND m.left_at IS NULL AND m.role <> 'banned';
	IF NOT EXISTS (SELECT 1 FROM public.users u WHERE u.id = p_subject) THEN
		v.status := 4;
	ELSIF NOT p_may_moderate AND (p_kind = 9 OR p_subject <> p_actor
		OR p_kind = 7 AND (v_is_banned OR p_role <> 'member'
			OR coalesce(m.role = 'read-only', false)))
	THEN
		v.status := 5;
	ELSIF v_is_member AND m.role = 'owner' AND (p_kind = 8 OR p_kind = 9 AND p_role <> 'owner')
		AND NOT EXISTS (SELECT 1 FROM public.members o WHERE o.conversation_id = p_conv
			AND o.role = 'owner' AND o.left_at IS NULL AND o.user_id <> p_subject)
	THEN
		v.status := 7;
	ELSIF p_kind = 7 THEN
		IF v_is_member THEN
			v.status := 2;
			v.since := m.joined_at;
		ELSIF p_role = 'banned' THEN
			v.status := 8;
		ELSE
			INSERT INTO public.members AS x (conversation_id, user_id, role, joined_at,
				joined_rev, read_rev, read_seq, delivered_rev, delivered_seq)
			VALUES (p_conv, p_subject, p_role, p_at, p_rev, p_rev, p_seq, p_rev, p_seq)
			ON CONFLICT (conversation_id, user_id) DO UPDATE
			SET role = excluded.role, joined_at = excluded.joined_at, left_at = NULL,
				banned_until = NULL, ban_reason = NULL,
				joined_rev = excluded.joined_rev,
				read_rev = greatest(x.read_rev, excluded.read_rev),
				read_seq = greatest(x.read_seq, excluded.read_seq),
				delivered_rev = greatest(x.delivered_rev, excluded.delivered_rev),
				delivered_seq = greatest(x.delivered_seq, excluded.delivered_seq);
		END IF;
	ELSIF p_kind = 8 THEN
		IF NOT v_is_member THEN
			v.status := 2;
			v.since := m.left_at;
		ELSE
			UPDATE public.members x SET left_at = p_at
			WHERE x.conversation_id = p_conv AND x.user_id = p_subject;
		END IF;
	ELSIF p_role = 'banned' THEN
		IF v_is_banned AND m.banned_until IS NOT DISTINCT FROM v_until THEN
			v.status := 2;
		ELSE
			INSERT INTO public.members AS x (conversation_id, user_id, role, joined_at,
				left_at, read_rev, read_seq, delivered_rev, delivered_seq,
				banned_until, ban_reason)
			VALUES (p_conv, p_subject, p_role, p_at, p_at, p_rev, p_seq, p_rev, p_seq,
				v_until, p_reason)
			ON CONFLICT (conversation_id, user_id) DO UPDATE
			SET role = excluded.role, left_at = coalesce(x.left_at, excluded.left_at),
				banned_until = excluded.banned_until,
				ban_reason = excluded.ban_reason;
		END IF;
	ELSIF m.role = p_role AND v_is_member THEN
		v.status := 2;
	ELSIF v_is_member OR v_is_banned THEN
		UPDATE public.members x
		SET role = p_role, banned_until = NULL, ban_reason = NULL
		WHERE x.conversation_id = p_conv AND x.user_id = p_subject;
	ELSE
		v.status := 4;
	END IF;
	IF v.status = 0 AND (p_kind = 9 OR p_subject <> p_actor) THEN
		INSERT INTO public.audit (actor_id, action, conversation_id, target_user_id, detail)
		SELECT p_actor, k.name, p_conv, p_subject, jsonb_strip_nulls(jsonb_build_object(
			'role', p_role, 'until', public.iso_ms(v_until), 'reason', p_reason,
			'address', p_address))
		FROM public.event_kinds k WHERE k.kind = p_kind;
	END IF;
	RETURN v;
END
$$;
COMMENT ON FUNCTION public.change_member IS 'The part of log_change that is about members';

-- As in 0004_changes.sql, and slow_mode: seconds between two messages of one person, as text.
CREATE OR REPLACE FUNCTION public.change_conversation(
	c public.conversations, p_kind smallint, p_actor bigint, p_content text, p_key text,
	p_may_moderate boolean, p_at timestamptz)
RETURNS public.change_verdict
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v public.change_verdict;
BEGIN
	v.status := 0;
	v.content := p_content;
	IF NOT p_may_moderate AND (p_actor = 0 OR c.created_by IS DISTINCT FROM p_actor) THEN
		v.status := 5;
	ELSIF p_kind = 11 THEN
		UPDATE public.conversations x SET closed_at = p_at, updated_at = p_at
		WHERE x.id = c.id;
	ELSIF p_key = 'slow_mode' AND p_content ~ '^[0-9]{1,5}$' THEN
		IF coalesce(c.settings->>'slow_mode', '0') = p_content THEN
			v.status := 2;
			v.since := c.updated_at;
		ELSE
			UPDATE public.conversations x SET updated_at = p_at,
				settings = jsonb_set(x.settings, '{slow_mode}', to_jsonb(p_content::integer))
			WHERE x.id = c.id;
		END IF;
	ELSIF p_key IS NULL OR p_key NOT IN ('name', 'description') THEN
		v.status := 8;
	ELSIF p_content IS NOT DISTINCT FROM
		(CASE p_key WHEN 'name' THEN c.name ELSE c.description END)
	THEN
		v.status := 2;
		v.since := c.updated_at;
	ELSIF p_key = 'name' THEN
		UPDATE public.conversations x SET name = coalesce(p_content, ''), updated_at = p_at
		WHERE x.id = c.id;
	ELSE
		UPDATE public.conversations x
		SET description = coalesce(p_content, ''), updated_at = p_at
		WHERE x.id = c.id;
	END IF;
	IF v.status = 0 THEN
		INSERT INTO public.audit (actor_id, action, conversation_id, detail)
		SELECT p_actor, k.name, c.id,
			CASE WHEN p_key IS NOT NULL THEN jsonb_build_object('changed', p_key) END
		FROM public.event_kinds k WHERE k.kind = p_kind;
	END IF;
	RETURN v;
END
$$;

-- As in 0004_changes.sql, with what moderation adds: until when, why, and from where.
DROP FUNCTION public.log_change(bigint, smallint, bigint, uuid, bigint, bigint, text, text, boolean,
	integer);
CREATE FUNCTION public.log_change(
	p_conv bigint, p_kind smallint, p_actor bigint, p_client_msg_id uuid, p_target bigint,
	p_subject bigint, p_content text, p_key text, p_may_moderate boolean,
	p_recover_days integer, p_until_ms bigint DEFAULT NULL, p_reason text DEFAULT NULL,
	p_address text DEFAULT NULL)
RETURNS TABLE (status smallint, rev bigint, seq bigint, at_ms bigint, target_seq bigint,
	target_author bigint, content text, subject_name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	c public.conversations;
	old public.events;
	v public.change_verdict;
	v_rev bigint;
	v_seq bigint;
	v_at timestamptz;
BEGIN
	SELECT x.* INTO c FROM public.conversations x WHERE x.id = p_conv FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN QUERY SELECT 3::smallint, 0::bigint, 0::bigint, 0::bigint, 0::bigint,
			0::bigint, NULL::text, NULL::text;
		RETURN;
	END IF;
	SELECT coalesce(l.rev, c.base_rev), coalesce(l.seq, c.base_seq),
		greatest(public.now_ms(), l.at)
	INTO v_rev, v_seq, v_at
	FROM (SELECT) AS one LEFT JOIN LATERAL (
		SELECT e.rev, e.seq, e.at FROM public.events e
		WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true;

	SELECT e.* INTO old FROM public.events e
	WHERE e.client_msg_id = p_client_msg_id AND e.actor_id = p_actor;
	IF FOUND THEN
		v.status := 7;
		IF (old.conversation_id, old.kind) = (p_conv, p_kind)
			AND (old.target_rev, old.subject_id, old.key)
				IS NOT DISTINCT FROM (p_target, p_subject, p_key)
		THEN
			SELECT 1, old.at, t.seq, t.actor_id,
				CASE WHEN p_kind <> 4 THEN old.content
					WHEN t.deleted_at IS NULL THEN t.content END
			INTO v FROM (SELECT) AS one LEFT JOIN public.events t
			ON t.conversation_id = p_conv AND t.rev = p_target;
			v_rev := old.rev;
			v_seq := old.seq;
		END IF;
	ELSIF c.closed_at IS NOT NULL THEN
		v.status := 3;
	ELSIF p_kind IN (2, 3, 4) THEN
		v := public.change_message(p_conv, p_kind, p_actor, p_target, p_content,
			p_may_moderate, p_recover_days, v_rev + 1, v_at);
	ELSIF p_kind IN (5, 6) THEN
		v := public.change_reaction(p_conv, p_kind, p_actor, p_target, p_key, v_at);
	ELSIF p_kind IN (7, 8, 9) THEN
		v := public.change_member(p_conv, p_kind, p_actor, p_subject, p_key,
			p_may_moderate, v_rev + 1, v_seq, v_at, p_until_ms, p_reason, p_address);
	ELSIF p_kind IN (10, 11) THEN
		v := public.change_conversation(c, p_kind, p_actor, p_content, p_key,
			p_may_moderate, v_at);
	ELSE
		v.status := 8;
	END IF;

	IF v.status = 0 THEN
		v_rev := v_rev + 1;
		v.since := v_at;
		INSERT INTO public.events (conversation_id, rev, seq, actor_id, at, target_rev,
			client_msg_id, kind, content, subject_id, key)
		VALUES (p_conv, v_rev, v_seq, p_actor, v_at, p_target, p_client_msg_id, p_kind,
			CASE WHEN p_kind IN (2, 10) THEN p_content END, p_subject, p_key);
	END IF;
	RETURN QUERY SELECT v.status, v_rev, v_seq, coalesce(public.epoch_ms(v.since), 0),
		coalesce(v.seq, 0), coalesce(v.author, 0), v.content,
		(SELECT u.name FROM public.users u WHERE u.id = p_subject);
END
$$;
COMMENT ON FUNCTION public.log_change IS
	'One durable change with its row of the log, together or not at all; safe to repeat with '
	'the same key';

-- Takes the word from somebody until a time (NULL: gives it back). It is state, as marks are: who
-- is no member gets a row that is no membership. status: 0 done, 2 it is so already, 3 no such open
-- conversation, 4 no such user.
CREATE FUNCTION public.member_mute(
	p_conv bigint, p_actor bigint, p_subject bigint, p_until_ms bigint, p_reason text,
	p_address text)
RETURNS smallint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_until timestamptz := CASE WHEN p_until_ms = 9223372036854775807 THEN 'infinity'
		ELSE to_timestamp(nullif(p_until_ms, 0) / 1000.0) END;
	v_seq bigint;
	v_rev bigint;
	v_n integer;
BEGIN
	PERFORM 1 FROM public.conversations c
	WHERE c.id = p_conv AND c.closed_at IS NULL FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN 3;
	END IF;
	PERFORM 1 FROM public.users u WHERE u.id = p_subject;
	IF NOT FOUND THEN
		RETURN 4;
	END IF;
	SELECT e.rev, e.seq INTO v_rev, v_seq FROM public.events e
	WHERE e.conversation_id = p_conv ORDER BY e.rev DESC LIMIT 1;
	IF v_until IS NULL THEN
		UPDATE public.members x SET muted_until = NULL, mute_reason = NULL
		WHERE x.conversation_id = p_conv AND x.user_id = p_subject
		AND x.muted_until IS NOT NULL;
	ELSE
		INSERT INTO public.members AS x (conversation_id, user_id, left_at, read_rev, read_seq,
			delivered_rev, delivered_seq, muted_until, mute_reason)
		VALUES (p_conv, p_subject, public.now_ms(), coalesce(v_rev, 0), coalesce(v_seq, 0),
			coalesce(v_rev, 0), coalesce(v_seq, 0), v_until, p_reason)
		ON CONFLICT (conversation_id, user_id) DO UPDATE
		SET muted_until = excluded.muted_until, mute_reason = excluded.mute_reason
		WHERE x.muted_until IS DISTINCT FROM excluded.muted_until;
	END IF;
	GET DIAGNOSTICS v_n = ROW_COUNT;
	IF v_n = 0 THEN
		RETURN 2;
	END IF;
	INSERT INTO public.audit (actor_id, action, conversation_id, target_user_id, detail)
	VALUES (p_actor, CASE WHEN v_until IS NULL THEN 'member.unmute' ELSE 'member.mute' END,
		p_conv, p_subject, jsonb_strip_nulls(jsonb_build_object(
			'until', CASE WHEN isfinite(v_until) THEN public.iso_ms(v_until) END,
			'reason', p_reason, 'address', p_address)));
	RETURN 0;
END
$$;
COMMENT ON FUNCTION public.member_mute IS 'Mutes somebody, or gives the word back';

-- ---- Reports ----

CREATE TABLE public.reports (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT public.now_ms(),
	conversation_id bigint NOT NULL
		CONSTRAINT reports_conversation_fkey
			REFERENCES public.conversations (id) ON DELETE CASCADE,
	reporter_id bigint NOT NULL,
	target_rev bigint,
	target_user_id bigint,
	reason text NOT NULL
		CONSTRAINT reports_reason_check CHECK (char_length(reason) BETWEEN 1 AND 1000),
	status text NOT NULL DEFAULT 'open'
		CONSTRAINT reports_status_check CHECK (status IN ('open', 'resolved', 'dismissed')),
	resolved_by bigint,
	resolved_at timestamptz,
	note text CONSTRAINT reports_note_check CHECK (char_length(note) <= 1000)
);
CREATE INDEX reports_open_idx ON public.reports (conversation_id, id) WHERE status = 'open';
CREATE INDEX reports_conversation_idx ON public.reports (conversation_id, id);
CREATE UNIQUE INDEX reports_once_key ON public.reports
	(conversation_id, reporter_id, coalesce(target_rev, 0), coalesce(target_user_id, 0))
	WHERE status = 'open';
COMMENT ON TABLE public.reports IS 'What people complained of, until somebody has looked at it';
COMMENT ON COLUMN public.reports.target_rev IS 'The message; NULL: the person as such';
COMMENT ON COLUMN public.reports.target_user_id IS 'The person, or the author of the message';

-- ---- Audit ----

CREATE INDEX audit_actor_idx ON public.audit (actor_id, id);

-- Rows are chained a moment after their commit, one chainer at a time: a chain within the
-- transactions of the acts would make all of them wait for each other.
CREATE TABLE public.audit_chain (
	n bigint PRIMARY KEY,
	audit_id bigint NOT NULL CONSTRAINT audit_chain_audit_key UNIQUE,
	hash bytea NOT NULL
);
COMMENT ON TABLE public.audit_chain IS
	'SHA-256 over the hash before and the row, so that no row changes or goes unseen';
COMMENT ON COLUMN public.audit_chain.n IS '1, 2, 3 … without gap, in the order of chaining';

CREATE FUNCTION public.audit_refuse() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION public.audit_refuse IS 'Keeps the audit log as it is';
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON public.audit
	FOR EACH ROW EXECUTE FUNCTION public.audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON public.audit
	FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse();
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE ON public.audit_chain
	FOR EACH ROW EXECUTE FUNCTION public.audit_refuse();
CREATE TRIGGER audit_chain_no_truncate BEFORE TRUNCATE ON public.audit_chain
	FOR EACH STATEMENT EXECUTE FUNCTION public.audit_refuse();

-- What is hashed of a row: every column, none of which can run into the next.
CREATE FUNCTION public.audit_hash(p_before bytea, a public.audit) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
RETURN sha256(p_before || convert_to(jsonb_build_array(a.id, public.epoch_ms(a.at), a.actor_id,
	a.action, a.conversation_id, a.target_user_id, a.detail)::text, 'UTF8'));
COMMENT ON FUNCTION public.audit_hash IS 'The hash of a row of the audit log behind another hash';

-- Chains what is not chained yet, at most p_most rows. Returns how many; -1: somebody else does it.
CREATE FUNCTION public.audit_link(p_most integer) RETURNS integer
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	a public.audit;
	v_n bigint;
	v_hash bytea;
	v_done integer := 0;
BEGIN
	IF NOT pg_try_advisory_xact_lock(hashtext('roomd audit')) THEN
		RETURN -1;
	END IF;
	SELECT c.n, c.hash INTO v_n, v_hash FROM public.audit_chain c ORDER BY c.n DESC LIMIT 1;
	v_n := coalesce(v_n, 0);
	v_hash := coalesce(v_hash, '');
	-- ids are given before the commit: a lower one may appear later
	FOR a IN
		SELECT x.* FROM public.audit x
		WHERE NOT EXISTS (SELECT 1 FROM public.audit_chain c WHERE c.audit_id = x.id)
		AND x.id > coalesce((SELECT max(c.audit_id) FROM public.audit_chain c), 0) - 10000
		ORDER BY x.id LIMIT p_most
	LOOP
		v_n := v_n + 1;
		v_hash := public.audit_hash(v_hash, a);
		INSERT INTO public.audit_chain (n, audit_id, hash) VALUES (v_n, a.id, v_hash);
		v_done := v_done + 1;
	END LOOP;
	RETURN v_done;
END
$$;
COMMENT ON FUNCTION public.audit_link IS 'Chains new rows of the audit log';

-- What is wrong with the chain: the number in the chain, the row, and what. No row: all is well.
CREATE FUNCTION public.audit_verify()
RETURNS TABLE (n bigint, audit_id bigint, problem text)
LANGUAGE sql STABLE
AS $$
	SELECT c.n, c.audit_id, CASE
		WHEN c.n <> c.place THEN 'gap'
		WHEN a.id IS NULL THEN 'missing'
		WHEN c.hash <> public.audit_hash(coalesce(c.before, ''), a) THEN 'changed' END
	FROM (
		SELECT x.*, row_number() OVER w AS place, lag(x.hash) OVER w AS before
		FROM public.audit_chain x WINDOW w AS (ORDER BY x.n)
	) AS c LEFT JOIN public.audit a ON a.id = c.audit_id
	WHERE c.n <> c.place OR a.id IS NULL
	OR c.hash <> public.audit_hash(coalesce(c.before, ''), a)
	UNION ALL
	SELECT 0, a.id, 'unchained' FROM public.audit a
	WHERE NOT EXISTS (SELECT 1 FROM public.audit_chain c WHERE c.audit_id = a.id)
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION public.audit_verify IS 'Faults of the chain of the audit log';

-- ---- Verification of the log ----

-- As in 0009_verify_suspects.sql, and the slow mode of a conversation.
CREATE OR REPLACE FUNCTION public.verify_log()
RETURNS TABLE (conv bigint, rev bigint, user_id bigint, problem text, have bigint, want bigint)
LANGUAGE sql STABLE
AS $$
	WITH log AS (
		SELECT e.conversation_id AS conv, e.rev, e.seq, e.kind, e.at, c.base_rev,
			c.base_seq, c.id IS NULL AS is_orphan, lag(e.rev) OVER w AS last_rev,
			lag(e.seq) OVER w AS last_seq, lag(e.at) OVER w AS last_at,
			lag(e.kind) OVER w AS last_kind
		FROM public.events e LEFT JOIN public.conversations c ON c.id = e.conversation_id
		WINDOW w AS (PARTITION BY e.conversation_id ORDER BY e.rev)
	), numbers AS (
		SELECT l.conv, l.rev, p.problem, p.have, p.want FROM (
			SELECT * FROM log l WHERE l.is_orphan OR l.last_rev IS NULL
			OR l.rev <> l.last_rev + 1 OR l.seq > l.rev OR l.at < l.last_at
			OR l.seq <> l.last_seq + (l.kind = 1)::integer OR l.last_kind = 11
		) AS l, LATERAL (VALUES
			('conversation', l.is_orphan, 0, 1),
			('gap', l.rev <> l.last_rev + 1, l.rev, l.last_rev + 1),
			('base', l.last_rev IS NULL AND l.rev <= l.base_rev, l.rev, l.base_rev + 1),
			('seq', l.seq <> l.last_seq + (l.kind = 1)::integer, l.seq,
				l.last_seq + (l.kind = 1)::integer),
			('seq', l.last_rev IS NULL AND l.rev = l.base_rev + 1
				AND l.seq <> l.base_seq + (l.kind = 1)::integer, l.seq,
				l.base_seq + (l.kind = 1)::integer),
			('seq', l.seq > l.rev, l.seq, l.rev),
			('time', l.at < l.last_at, public.epoch_ms(l.at),
				public.epoch_ms(l.last_at)),
			('closed', l.last_kind = 11, l.kind::bigint, 11)
		) AS p (problem, is_so, have, want) WHERE p.is_so
	), head AS (
		SELECT c.id AS conv, c.closed_at, coalesce(l.rev, c.base_rev) AS rev,
			coalesce(l.seq, c.base_seq) AS seq, l.kind
		FROM public.conversations c LEFT JOIN LATERAL (
			SELECT e.rev, e.seq, e.kind FROM public.events e
			WHERE e.conversation_id = c.id ORDER BY e.rev DESC LIMIT 1) AS l ON true
	), about AS MATERIALIZED (
		SELECT e.conversation_id AS conv, e.rev, e.kind, e.actor_id, e.target_rev, e.key,
			e.content, e.subject_id
		FROM public.events e WHERE e.kind <> 1
	), removal AS (
		SELECT DISTINCT ON (a.conv, a.target_rev) a.conv, a.target_rev, a.kind
		FROM about a WHERE a.kind IN (3, 4) ORDER BY a.conv, a.target_rev, a.rev DESC
	), edit AS (
		SELECT DISTINCT ON (a.conv, a.target_rev) a.conv, a.target_rev, a.content
		FROM about a WHERE a.kind = 2 ORDER BY a.conv, a.target_rev, a.rev DESC
	), reaction AS (
		SELECT DISTINCT ON (a.conv, a.target_rev, a.actor_id, a.key) a.*
		FROM about a WHERE a.kind IN (5, 6)
		ORDER BY a.conv, a.target_rev, a.actor_id, a.key, a.rev DESC
	), membership AS (
		SELECT DISTINCT ON (a.conv, a.subject_id) a.*
		FROM about a WHERE a.kind IN (7, 8) OR a.kind = 9 AND a.key = 'banned'
		ORDER BY a.conv, a.subject_id, a.rev DESC
	), role AS (
		SELECT DISTINCT ON (a.conv, a.subject_id) a.*
		FROM about a WHERE a.kind IN (7, 9) ORDER BY a.conv, a.subject_id, a.rev DESC
	), renaming AS (
		SELECT DISTINCT ON (a.conv, a.key) a.*
		FROM about a WHERE a.kind = 10 ORDER BY a.conv, a.key, a.rev DESC
	)
	SELECT n.conv, n.rev, 0::bigint, n.problem, n.have, n.want FROM numbers n
	UNION ALL
	SELECT min(e.conversation_id), min(e.rev), e.actor_id, 'key', count(*), 1
	FROM public.events e WHERE e.client_msg_id IS NOT NULL
	GROUP BY e.client_msg_id, e.actor_id HAVING count(*) > 1
	UNION ALL
	SELECT h.conv, h.rev, 0, 'closed', (h.closed_at IS NOT NULL)::integer,
		(h.kind = 11)::integer
	FROM head h WHERE h.kind IS NOT NULL AND (h.closed_at IS NOT NULL) <> (h.kind = 11)
	UNION ALL
	SELECT m.conversation_id, 0, m.user_id, p.problem, p.have, p.want
	FROM public.members m JOIN head h ON h.conv = m.conversation_id, LATERAL (VALUES
		('mark', m.read_seq, h.seq), ('mark', m.delivered_seq, h.seq),
		('mark', m.read_rev, h.rev), ('mark', m.delivered_rev, h.rev)
	) AS p (problem, have, want) WHERE p.have > p.want
	UNION ALL
	SELECT a.conv, a.rev, a.actor_id, 'target', a.target_rev, 0
	FROM about a JOIN public.conversations c ON c.id = a.conv
	WHERE a.kind BETWEEN 2 AND 6 AND a.target_rev > c.base_rev AND NOT EXISTS (
		SELECT 1 FROM public.events t WHERE t.conversation_id = a.conv
		AND t.rev = a.target_rev AND t.rev < a.rev AND t.kind = 1)
	UNION ALL
	SELECT t.conversation_id, t.rev, 0, 'deleted', (t.deleted_at IS NOT NULL)::integer,
		(r.kind IS NOT DISTINCT FROM 3)::integer
	FROM public.events t
	LEFT JOIN removal r ON r.conv = t.conversation_id AND r.target_rev = t.rev
	WHERE t.kind = 1 AND (t.deleted_at IS NOT NULL) <> (r.kind IS NOT DISTINCT FROM 3)
	UNION ALL
	SELECT t.conversation_id, t.rev, 0, 'text', 0, 0 FROM edit d
	JOIN public.events t ON t.conversation_id = d.conv AND t.rev = d.target_rev
	WHERE t.content IS DISTINCT FROM d.content OR t.edited_at IS NULL
	UNION ALL
	SELECT a.conv, a.rev, 0, 'version', 0, 1 FROM about a
	WHERE a.kind = 2 AND NOT EXISTS (SELECT 1 FROM public.message_versions v
		WHERE v.conversation_id = a.conv AND v.rev = a.target_rev AND v.edit_rev = a.rev)
	UNION ALL
	SELECT coalesce(s.conversation_id, r.conv), coalesce(s.rev, r.target_rev),
		coalesce(s.user_id, r.actor_id), 'reaction', (s.rev IS NOT NULL)::integer,
		(r.kind IS NOT DISTINCT FROM 5)::integer
	FROM public.reactions s FULL JOIN reaction r ON r.conv = s.conversation_id
		AND r.target_rev = s.rev AND r.actor_id = s.user_id AND r.key = s.emoji
	WHERE (s.rev IS NOT NULL) <> (r.kind IS NOT DISTINCT FROM 5)
	UNION ALL
	SELECT x.conv, x.rev, x.subject_id, 'member', (m.user_id IS NOT NULL)::integer,
		(x.kind = 7)::integer
	FROM membership x LEFT JOIN public.members m ON m.conversation_id = x.conv
		AND m.user_id = x.subject_id AND m.left_at IS NULL
	WHERE (m.user_id IS NOT NULL) <> (x.kind = 7)
	UNION ALL
	SELECT x.conv, x.rev, x.subject_id, 'role', 0, 0
	FROM role x LEFT JOIN public.members m ON m.conversation_id = x.conv
		AND m.user_id = x.subject_id
	WHERE m.role IS DISTINCT FROM x.key
	UNION ALL
	SELECT x.conv, x.rev, 0, 'update', 0, 0
	FROM renaming x JOIN public.conversations c ON c.id = x.conv
	WHERE x.content IS DISTINCT FROM CASE x.key WHEN 'name' THEN c.name
		WHEN 'slow_mode' THEN coalesce(c.settings->>'slow_mode', '0')
		ELSE c.description END
$$;
