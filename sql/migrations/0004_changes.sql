-- SPDX-License-Identifier: MIT
-- Durable changes other than sends, each one transaction under the lock of its conversation: the
-- row of the log with the next rev and the same seq, and the change of what it is about. A message
-- that is edited, deleted or recovered keeps its own row, so its position and its numbers stay.

ALTER TABLE public.events ADD COLUMN subject_id bigint, ADD COLUMN key text;
COMMENT ON COLUMN public.events.subject_id IS 'users.id of whom it was done to: kinds member.*';
COMMENT ON COLUMN public.events.key IS
	'Emoji of a reaction, role of a member, what of a conversation was updated';
COMMENT ON COLUMN public.events.content IS
	'Of a message its present text, of an edit the text it gave, of an update the new value';

ALTER TABLE public.members ADD COLUMN joined_rev bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN public.members.joined_rev IS
	'rev of the member.join that made the membership; 0: a member from the beginning';

CREATE TABLE public.message_versions (
	conversation_id bigint NOT NULL,
	rev bigint NOT NULL,
	edit_rev bigint NOT NULL,
	valid_from timestamptz NOT NULL,
	content text,
	CONSTRAINT message_versions_pkey PRIMARY KEY (conversation_id, rev, edit_rev)
);
COMMENT ON TABLE public.message_versions IS 'Former texts of edited messages';
COMMENT ON COLUMN public.message_versions.edit_rev IS 'The message.edit that replaced this text';
COMMENT ON COLUMN public.message_versions.valid_from IS
	'Since when this was the text; its end is the time of edit_rev';

CREATE TABLE public.reactions (
	conversation_id bigint NOT NULL,
	rev bigint NOT NULL,
	user_id bigint NOT NULL,
	emoji text NOT NULL
		CONSTRAINT reactions_emoji_check CHECK (char_length(emoji) BETWEEN 1 AND 64),
	at timestamptz NOT NULL,
	CONSTRAINT reactions_pkey PRIMARY KEY (conversation_id, rev, user_id, emoji)
);
COMMENT ON TABLE public.reactions IS 'Reactions as they stand; their history is in the log';
COMMENT ON COLUMN public.reactions.rev IS 'The message';

-- What a part of log_change found. status as in log_change; since: how long it is so already.
CREATE TYPE public.change_verdict AS (
	status smallint, since timestamptz, seq bigint, author bigint, content text);
COMMENT ON TYPE public.change_verdict IS 'What a change did, between the parts of log_change';

-- Edit, delete and recover: kinds 2, 3, 4.
CREATE FUNCTION public.change_message(
	p_conv bigint, p_kind smallint, p_actor bigint, p_target bigint, p_content text,
	p_may_moderate boolean, p_recover_days integer, p_rev bigint, p_at timestamptz)
RETURNS public.change_verdict
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m public.events;
	v public.change_verdict;
BEGIN
	v.status := 0;
	SELECT * INTO m FROM public.events e
	WHERE e.conversation_id = p_conv AND e.rev = p_target AND e.kind = 1;
	IF NOT FOUND THEN
		v.status := 4;
		RETURN v;
	END IF;
	v.seq := m.seq;
	v.author := m.actor_id;
	IF NOT p_may_moderate AND (m.actor_id <> p_actor OR p_actor = 0
		OR p_kind = 4 AND m.deleted_at IS NOT NULL
			AND m.deleted_by IS DISTINCT FROM p_actor)
	THEN
		v.status := 5;
	ELSIF p_kind = 2 THEN
		v.content := p_content;
		IF m.deleted_at IS NOT NULL THEN
			v.status := 4;
		ELSIF m.content IS NOT DISTINCT FROM p_content THEN
			v.status := 2;
			v.since := coalesce(m.edited_at, m.at);
		ELSE
			INSERT INTO public.message_versions
				(conversation_id, rev, edit_rev, valid_from, content)
			VALUES (p_conv, p_target, p_rev, coalesce(m.edited_at, m.at), m.content);
			UPDATE public.events e SET content = p_content, edited_at = p_at
			WHERE e.conversation_id = p_conv AND e.rev = p_target;
		END IF;
	ELSIF p_kind = 3 THEN
		IF m.deleted_at IS NOT NULL THEN
			v.status := 2;
			v.since := m.deleted_at;
		ELSE
			UPDATE public.events e SET deleted_at = p_at, deleted_by = p_actor
			WHERE e.conversation_id = p_conv AND e.rev = p_target;
		END IF;
	ELSIF m.deleted_at IS NULL THEN
		v.status := 2;
		v.content := m.content;
	ELSIF p_recover_days > 0
		AND m.deleted_at < p_at - make_interval(hours => 24 * p_recover_days)
	THEN
		v.status := 6;
	ELSE
		v.content := m.content;
		UPDATE public.events e SET deleted_at = NULL, deleted_by = NULL
		WHERE e.conversation_id = p_conv AND e.rev = p_target;
	END IF;
	IF v.status = 0 AND p_kind IN (3, 4) THEN
		INSERT INTO public.audit (actor_id, action, conversation_id, target_user_id, detail)
		SELECT p_actor, k.name, p_conv, m.actor_id, jsonb_build_object('rev', p_target)
		FROM public.event_kinds k WHERE k.kind = p_kind;
	END IF;
	RETURN v;
END
$$;
COMMENT ON FUNCTION public.change_message IS 'The part of log_change that is about messages';

-- Set and unset: kinds 5, 6. One person has at most 32 reactions on one message.
CREATE FUNCTION public.change_reaction(
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
		AND b.user_id = p_actor AND b.role = 'banned')
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
COMMENT ON FUNCTION public.change_reaction IS 'The part of log_change that is about reactions';

-- Join, leave and role: kinds 7, 8, 9. Who joins has read what was there before.
CREATE FUNCTION public.change_member(
	p_conv bigint, p_kind smallint, p_actor bigint, p_subject bigint, p_role text,
	p_may_moderate boolean, p_rev bigint, p_seq bigint, p_at timestamptz)
RETURNS public.change_verdict
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	m public.members;
	v public.change_verdict;
	v_is_member boolean;
	v_is_banned boolean;
BEGIN
	v.status := 0;
	SELECT * INTO m FROM public.members x
	WHERE x.conversation_id = p_conv AND x.user_id = p_subject;
	v_is_banned := coalesce(m.role = 'banned', false);
	v_is_member := FOUND AND m.left_at IS NULL AND NOT v_is_banned;
	IF NOT EXISTS (SELECT 1 FROM public.users u WHERE u.id = p_subject) THEN
		v.status := 4;
	ELSIF NOT p_may_moderate AND (p_kind = 9 OR p_subject <> p_actor
		OR p_kind = 7 AND (v_is_banned OR p_role <> 'member'))
	THEN
		v.status := 5;
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
	ELSIF m.role = p_role AND (v_is_member OR v_is_banned) THEN
		v.status := 2;
	ELSIF p_role = 'banned' THEN
		INSERT INTO public.members AS x (conversation_id, user_id, role, joined_at, left_at,
			read_rev, read_seq, delivered_rev, delivered_seq)
		VALUES (p_conv, p_subject, p_role, p_at, p_at, p_rev, p_seq, p_rev, p_seq)
		ON CONFLICT (conversation_id, user_id) DO UPDATE
		SET role = excluded.role, left_at = coalesce(x.left_at, excluded.left_at);
	ELSIF v_is_member OR v_is_banned THEN
		UPDATE public.members x SET role = p_role
		WHERE x.conversation_id = p_conv AND x.user_id = p_subject;
	ELSE
		v.status := 4;
	END IF;
	IF v.status = 0 AND (p_kind = 9 OR p_subject <> p_actor) THEN
		INSERT INTO public.audit (actor_id, action, conversation_id, target_user_id, detail)
		SELECT p_actor, k.name, p_conv, p_subject, jsonb_build_object('role', p_role)
		FROM public.event_kinds k WHERE k.kind = p_kind;
	END IF;
	RETURN v;
END
$$;
COMMENT ON FUNCTION public.change_member IS 'The part of log_change that is about members';

-- Update and close: kinds 10, 11. A name that an open room has ends in conversations_open_name_key.
CREATE FUNCTION public.change_conversation(
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
COMMENT ON FUNCTION public.change_conversation IS
	'The part of log_change that is about the conversation itself';

-- One durable change. The caller leaves NULL what a kind does not use. status: 0 stored, 1 stored
-- before under its key, 2 it is so already (the newest numbers), 3 no such open conversation, 4 no
-- such message, user or member, 5 not allowed, 6 deleted too long ago, 7 conflict, 8 refused value.
-- Only 0 leaves anything behind.
CREATE FUNCTION public.log_change(
	p_conv bigint, p_kind smallint, p_actor bigint, p_client_msg_id uuid, p_target bigint,
	p_subject bigint, p_content text, p_key text, p_may_moderate boolean,
	p_recover_days integer)
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
			p_may_moderate, v_rev + 1, v_seq, v_at);
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
