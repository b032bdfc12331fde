-- SPDX-License-Identifier: MIT
-- People, conversations and one log of events per conversation. Nothing on the sending path touches
-- a row that another send touches: counters live in the newest row of the log.
-- All objects are in schema public of a database of their own and are named with it everywhere.

-- One-line functions are neither STRICT nor less volatile than what they call: so the planner
-- can put their text in their place, where a call costs microseconds per row.

-- Milliseconds since 1970, the form in which times leave in binary results.
CREATE FUNCTION public.epoch_ms(t timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM t) * 1000)::bigint;
COMMENT ON FUNCTION public.epoch_ms(timestamptz) IS 'Milliseconds since 1970';

-- A UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, then random bits.
CREATE FUNCTION public.uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(set_bit(set_bit(
	overlay(uuid_send(gen_random_uuid())
		PLACING substring(int8send(public.epoch_ms(clock_timestamp())) FROM 3)
		FROM 1 FOR 6),
	52, 1), 53, 1), 'hex')::uuid;
COMMENT ON FUNCTION public.uuid_v7() IS 'A new UUID of version 7: sorts by the time it was made';

-- RFC 3339 in UTC with milliseconds, whatever the session's TimeZone and DateStyle.
CREATE FUNCTION public.iso_ms(t timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
COMMENT ON FUNCTION public.iso_ms(timestamptz) IS 'RFC 3339 text in UTC with milliseconds';

-- The time of a new row, cut to milliseconds so that every surface prints the same instant.
CREATE FUNCTION public.now_ms() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN date_trunc('milliseconds', clock_timestamp());
COMMENT ON FUNCTION public.now_ms() IS 'The present, cut to milliseconds';

CREATE TABLE public.users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	uid uuid NOT NULL DEFAULT public.uuid_v7() CONSTRAINT users_uid_key UNIQUE,
	kind text NOT NULL
		CONSTRAINT users_kind_check CHECK (kind IN ('guest', 'account', 'bot', 'system')),
	username text
		CONSTRAINT users_username_check CHECK (char_length(username) BETWEEN 1 AND 100),
	name text NOT NULL CONSTRAINT users_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
	email text CONSTRAINT users_email_check CHECK (char_length(email) <= 320),
	password_hash text,
	full_name text CONSTRAINT users_full_name_check CHECK (char_length(full_name) <= 200),
	avatar_url text CONSTRAINT users_avatar_url_check CHECK (char_length(avatar_url) <= 2048),
	disabled_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	CONSTRAINT users_login_check CHECK ((kind IN ('account', 'bot')) = (username IS NOT NULL))
);
CREATE UNIQUE INDEX users_username_lower_key ON public.users (lower(username));
CREATE UNIQUE INDEX users_email_lower_key ON public.users (lower(email));
CREATE UNIQUE INDEX users_guest_name_key ON public.users (name) WHERE kind = 'guest';
CREATE INDEX users_name_idx ON public.users (lower(name)) WHERE kind <> 'guest';
COMMENT ON TABLE public.users IS
	'Everybody who can act: guests (a name), accounts, bots, the system';
COMMENT ON COLUMN public.users.uid IS 'The id on surfaces that show UUIDs';
COMMENT ON COLUMN public.users.kind IS
	'guest: a name without login; account and bot: have a username';
COMMENT ON COLUMN public.users.username IS
	'Login name, unique without regard to case; never set for guests';
COMMENT ON COLUMN public.users.name IS 'Shown name; unique among guests, byte for byte';
COMMENT ON COLUMN public.users.password_hash IS
	'PHC string (argon2id, or bcrypt until the next login); never leaves the server';
COMMENT ON COLUMN public.users.disabled_at IS 'Since when the user may not act; NULL: may';

CREATE TABLE public.sessions (
	id uuid PRIMARY KEY DEFAULT public.uuid_v7(),
	user_id bigint NOT NULL
		CONSTRAINT sessions_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	kind text NOT NULL
		CONSTRAINT sessions_kind_check CHECK (kind IN ('cookie', 'refresh', 'bot')),
	refresh_hash bytea,
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	last_seen_at timestamptz NOT NULL DEFAULT public.now_ms(),
	expires_at timestamptz NOT NULL,
	revoked_at timestamptz,
	device text,
	address inet
) WITH (fillfactor = 80);
CREATE INDEX sessions_user_idx ON public.sessions (user_id);
CREATE INDEX sessions_expires_idx ON public.sessions (expires_at);
COMMENT ON TABLE public.sessions IS
	'Logins; access tokens name a row and are checked without reading it';
COMMENT ON COLUMN public.sessions.refresh_hash IS
	'SHA-256 of the refresh token in force; the token itself is not kept';
COMMENT ON COLUMN public.sessions.revoked_at IS
	'Ended before its time; workers refuse its access tokens at once';

CREATE TABLE public.conversations (
	id bigint GENERATED ALWAYS AS IDENTITY (MAXVALUE 2147483647) PRIMARY KEY,
	uid uuid NOT NULL DEFAULT public.uuid_v7() CONSTRAINT conversations_uid_key UNIQUE,
	kind text NOT NULL
		CONSTRAINT conversations_kind_check
			CHECK (kind IN ('room', 'code', 'group', 'direct')),
	code text CONSTRAINT conversations_code_check CHECK (code ~ '^[A-HJ-NP-Z]{4}$'),
	name text CONSTRAINT conversations_name_check CHECK (char_length(name) BETWEEN 1 AND 100),
	description text NOT NULL DEFAULT ''
		CONSTRAINT conversations_description_check CHECK (char_length(description) <= 2000),
	direct_key text,
	created_by bigint
		CONSTRAINT conversations_created_by_fkey
			REFERENCES public.users (id) ON DELETE SET NULL,
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	updated_at timestamptz NOT NULL DEFAULT public.now_ms(),
	closed_at timestamptz,
	settings jsonb NOT NULL DEFAULT '{}',
	base_rev bigint NOT NULL DEFAULT 0,
	base_seq bigint NOT NULL DEFAULT 0,
	CONSTRAINT conversations_room_check CHECK (kind <> 'room' OR name IS NOT NULL),
	CONSTRAINT conversations_direct_check CHECK ((kind = 'direct') = (direct_key IS NOT NULL))
);
CREATE UNIQUE INDEX conversations_open_code_key ON public.conversations (code)
	WHERE closed_at IS NULL;
CREATE UNIQUE INDEX conversations_open_name_key ON public.conversations (name)
	WHERE closed_at IS NULL AND kind = 'room';
CREATE UNIQUE INDEX conversations_direct_key_key ON public.conversations (direct_key);
CREATE INDEX conversations_open_room_idx ON public.conversations (id)
	WHERE closed_at IS NULL AND kind = 'room';
COMMENT ON TABLE public.conversations IS
	'One row per room, group or pair; a send locks it and never changes it';
COMMENT ON COLUMN public.conversations.id IS
	'Below 2^31, so that id and rev fit one 64-bit message id';
COMMENT ON COLUMN public.conversations.kind IS
	'room: open, by name; code: by a four-letter code; group: members; direct: two people';
COMMENT ON COLUMN public.conversations.name IS 'Among open rooms unique byte for byte';
COMMENT ON COLUMN public.conversations.direct_key IS
	'lower:higher user id of a pair, so that a pair has one conversation';
CREATE INDEX conversations_created_by_idx ON public.conversations (created_by) WHERE created_by IS NOT NULL;
COMMENT ON COLUMN public.conversations.created_by IS 'NULL: made without a login, owned by nobody';
COMMENT ON COLUMN public.conversations.closed_at IS 'Closed for good; the log stays';
COMMENT ON COLUMN public.conversations.base_rev IS
	'Where numbering goes on when retention has emptied the log';
COMMENT ON COLUMN public.conversations.base_seq IS 'As base_rev, for seq';

CREATE TABLE public.members (
	conversation_id bigint NOT NULL
		CONSTRAINT members_conversation_fkey
			REFERENCES public.conversations (id) ON DELETE CASCADE,
	user_id bigint NOT NULL
		CONSTRAINT members_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	role text NOT NULL DEFAULT 'member'
		CONSTRAINT members_role_check
			CHECK (role IN ('owner', 'admin', 'moderator', 'member', 'banned')),
	joined_at timestamptz NOT NULL DEFAULT public.now_ms(),
	visible_from_rev bigint NOT NULL DEFAULT 0,
	read_rev bigint NOT NULL DEFAULT 0,
	read_seq bigint NOT NULL DEFAULT 0,
	delivered_rev bigint NOT NULL DEFAULT 0,
	delivered_seq bigint NOT NULL DEFAULT 0,
	muted_until timestamptz,
	notify text NOT NULL DEFAULT 'all'
		CONSTRAINT members_notify_check CHECK (notify IN ('all', 'mentions', 'none')),
	left_at timestamptz,
	PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);
CREATE INDEX members_user_idx ON public.members (user_id, conversation_id);
COMMENT ON TABLE public.members IS
	'Who belongs to a conversation, and how far each has read; state, not log';
COMMENT ON COLUMN public.members.visible_from_rev IS 'The member sees rows of the log above this';
COMMENT ON COLUMN public.members.read_seq IS
	'Unread = last seq - read_seq - deleted messages above it';
COMMENT ON COLUMN public.members.left_at IS 'NULL while a member';

CREATE TABLE public.event_kinds (
	kind smallint PRIMARY KEY,
	name text NOT NULL UNIQUE
);
COMMENT ON TABLE public.event_kinds IS 'Names of events.kind; the same list as sql/kinds.def';
INSERT INTO public.event_kinds VALUES
	(1, 'message.new'), (2, 'message.edit'), (3, 'message.delete'), (4, 'message.recover'),
	(5, 'reaction.set'), (6, 'reaction.unset'),
	(7, 'member.join'), (8, 'member.leave'), (9, 'member.role'),
	(10, 'conversation.update'), (11, 'conversation.close');

CREATE TABLE public.events (
	conversation_id bigint NOT NULL,
	rev bigint NOT NULL,
	seq bigint NOT NULL,
	actor_id bigint NOT NULL,
	at timestamptz NOT NULL,
	target_rev bigint,
	thread_rev bigint,
	edited_at timestamptz,
	deleted_at timestamptz,
	deleted_by bigint,
	client_msg_id uuid,
	kind smallint NOT NULL,
	content text,
	meta jsonb,
	CONSTRAINT events_pkey PRIMARY KEY (conversation_id, rev)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX events_client_msg_key ON public.events (client_msg_id, actor_id)
	WHERE client_msg_id IS NOT NULL;
CREATE INDEX events_at_idx ON public.events USING brin (at);
COMMENT ON TABLE public.events IS
	'The log of every conversation: messages and all other durable changes. The newest row '
	'holds both counters. '
	'No foreign keys: they halve the rate of sends; persist_batch and persist_event keep '
	'it honest';
COMMENT ON COLUMN public.events.rev IS
	'1, 2, 3 … without gap within the conversation, given under its lock';
COMMENT ON COLUMN public.events.seq IS 'Number of user messages so far, this row included';
COMMENT ON COLUMN public.events.actor_id IS 'users.id of who did it; 0: the system';
COMMENT ON COLUMN public.events.at IS
	'Time of the transaction in ms; never falls within a conversation';
COMMENT ON COLUMN public.events.client_msg_id IS
	'Idempotency key of the sender; a UUIDv7 costs the index least';
COMMENT ON COLUMN public.events.kind IS 'See event_kinds';
COMMENT ON COLUMN public.events.target_rev IS
	'Row of the same conversation this is about; for a message the one it answers';
COMMENT ON COLUMN public.events.meta IS
	'What a kind needs beyond text: attachments, mentions, the dialect''s client id';

CREATE TABLE public.receipt_log (
	conversation_id bigint NOT NULL,
	user_id bigint NOT NULL,
	kind text NOT NULL CONSTRAINT receipt_log_kind_check CHECK (kind IN ('read', 'delivered')),
	up_to_seq bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT public.now_ms(),
	PRIMARY KEY (conversation_id, user_id, kind, up_to_seq)
);
COMMENT ON TABLE public.receipt_log IS
	'One row per mark: answers who had read or received what, and when';

CREATE TABLE public.audit (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT public.now_ms(),
	actor_id bigint NOT NULL,
	action text NOT NULL,
	conversation_id bigint,
	target_user_id bigint,
	detail jsonb
);
CREATE INDEX audit_at_idx ON public.audit (at);
CREATE INDEX audit_conversation_idx ON public.audit (conversation_id, id)
	WHERE conversation_id IS NOT NULL;
COMMENT ON TABLE public.audit IS
	'Acts worth keeping, written in the transaction of the act; never message text';
COMMENT ON COLUMN public.audit.actor_id IS
	'users.id of who did it; 0: a guest surface without login, or the system';
