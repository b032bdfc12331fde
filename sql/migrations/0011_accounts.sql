-- SPDX-License-Identifier: MIT
-- Accounts: names that are compared as people read them, sessions with refresh tokens for one use,
-- second factors, forgotten passwords, administrators.

-- The form in which names and addresses are compared: compatibility forms are one, and so are
-- cases, through upper case because some letters have two small forms. With ICU whatever the
-- database's locale; a server built without ICU folds what that locale knows.
DO $do$
DECLARE
	v_collate text := '';
BEGIN
	IF EXISTS (SELECT 1 FROM pg_catalog.pg_collation c
		WHERE c.collname = 'und-x-icu' AND c.collprovider = 'i')
	THEN
		v_collate := ' COLLATE pg_catalog."und-x-icu"';
	END IF;
	EXECUTE format(
		'CREATE FUNCTION public.name_fold(t text) RETURNS text'
		' LANGUAGE sql IMMUTABLE PARALLEL SAFE'
		' RETURN lower(upper(normalize(t, NFKC)%1$s)%1$s)', v_collate);
END
$do$;
COMMENT ON FUNCTION public.name_fold(text) IS
	'Names and addresses with equal results are the same';

ALTER TABLE public.users
	ADD COLUMN is_admin boolean NOT NULL DEFAULT false,
	ADD COLUMN credentials bigint NOT NULL DEFAULT 0,
	ADD CONSTRAINT users_admin_check CHECK (NOT is_admin OR kind = 'account'),
	ADD CONSTRAINT users_username_at_check CHECK (strpos(username, '@') = 0);
COMMENT ON COLUMN public.users.is_admin IS 'Administrator of the server';
COMMENT ON COLUMN public.users.credentials IS
	'Raised when the password changes, so that a login begun with the former one fails';
COMMENT ON COLUMN public.users.username IS
	'Login name, unique as name_fold compares; never set for guests; without @, so that it is '
	'not taken for an e-mail address';
COMMENT ON COLUMN public.users.email IS 'Unique as name_fold compares; never shown to others';

-- By bytes (text_pattern_ops), so that a prefix is a range and no change of locale harms them.
CREATE UNIQUE INDEX users_username_fold_key ON public.users
	(public.name_fold(username) text_pattern_ops) WHERE username IS NOT NULL;
CREATE UNIQUE INDEX users_email_fold_key ON public.users
	(public.name_fold(email) text_pattern_ops) WHERE email IS NOT NULL;
CREATE INDEX users_name_fold_idx ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind <> 'guest';
CREATE INDEX users_disabled_idx ON public.users (disabled_at) WHERE disabled_at IS NOT NULL;

ALTER TABLE public.sessions
	ADD COLUMN family_hash bytea,
	ADD COLUMN previous_hash bytea,
	ADD COLUMN refreshed_at timestamptz,
	ADD COLUMN socket_id uuid,
	ADD COLUMN connected_at timestamptz,
	ADD CONSTRAINT sessions_refresh_check CHECK (kind <> 'refresh'
		OR family_hash IS NOT NULL AND refresh_hash IS NOT NULL),
	ADD CONSTRAINT sessions_device_check CHECK (char_length(device) <= 200);
CREATE INDEX sessions_revoked_idx ON public.sessions (revoked_at) WHERE revoked_at IS NOT NULL;
COMMENT ON COLUMN public.sessions.family_hash IS
	'SHA-256 of the part that all refresh tokens of the session share: who knows it and not '
	'the part in force shows a token that was used';
COMMENT ON COLUMN public.sessions.previous_hash IS
	'The refresh_hash before the present one; taken again for some seconds after refreshed_at';
COMMENT ON COLUMN public.sessions.socket_id IS 'The connection opened last';
COMMENT ON COLUMN public.sessions.connected_at IS 'When socket_id was opened';

CREATE TABLE public.totp_secrets (
	user_id bigint PRIMARY KEY
		CONSTRAINT totp_secrets_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	sealed bytea NOT NULL
		CONSTRAINT totp_secrets_sealed_check
			CHECK (octet_length(sealed) BETWEEN 1 AND 256),
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	confirmed_at timestamptz,
	last_step bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE public.totp_secrets IS 'Second factors by RFC 6238, one per account';
COMMENT ON COLUMN public.totp_secrets.sealed IS
	'The secret, encrypted with a key that is not in the database';
COMMENT ON COLUMN public.totp_secrets.confirmed_at IS 'NULL: not in force, no code was shown yet';
COMMENT ON COLUMN public.totp_secrets.last_step IS 'Codes up to this time step are used up';

CREATE TABLE public.recovery_codes (
	user_id bigint NOT NULL
		CONSTRAINT recovery_codes_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	code_hash bytea NOT NULL,
	used_at timestamptz,
	PRIMARY KEY (user_id, code_hash)
);
COMMENT ON TABLE public.recovery_codes IS
	'Codes for who lost the second factor, as hashes, for one use each';

CREATE TABLE public.reset_tokens (
	token_hash bytea PRIMARY KEY,
	user_id bigint NOT NULL
		CONSTRAINT reset_tokens_user_fkey REFERENCES public.users (id) ON DELETE CASCADE,
	created_at timestamptz NOT NULL DEFAULT public.now_ms(),
	expires_at timestamptz NOT NULL
);
CREATE INDEX reset_tokens_user_idx ON public.reset_tokens (user_id);
CREATE INDEX reset_tokens_expires_idx ON public.reset_tokens (expires_at);
COMMENT ON TABLE public.reset_tokens IS
	'Forgotten passwords: SHA-256 of tokens sent by e-mail; a token that was used is gone';

-- ---- Guests: as before, but compared by name_fold ----

CREATE OR REPLACE FUNCTION public.guest_get(p_name text)
RETURNS TABLE (status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	IF EXISTS (SELECT 1 FROM public.users u WHERE u.username IS NOT NULL
		AND public.name_fold(u.username) = public.name_fold(p_name)) OR EXISTS (
		SELECT 1 FROM public.users u WHERE u.kind <> 'guest'
			AND public.name_fold(u.name) = public.name_fold(p_name))
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

CREATE OR REPLACE FUNCTION public.guests_get(p_names text[])
RETURNS TABLE (ord bigint, status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO public.users (kind, name)
	SELECT 'guest', n.name FROM (SELECT DISTINCT t.name FROM unnest(p_names) AS t (name)) AS n
	WHERE char_length(n.name) BETWEEN 1 AND 100
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.kind = 'guest' AND u.name = n.name)
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.username IS NOT NULL
		AND public.name_fold(u.username) = public.name_fold(n.name))
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.kind <> 'guest'
		AND public.name_fold(u.name) = public.name_fold(n.name))
	ORDER BY n.name
	ON CONFLICT DO NOTHING;
	RETURN QUERY
	SELECT n.ord, CASE
			WHEN EXISTS (SELECT 1 FROM public.users a WHERE a.username IS NOT NULL
				AND public.name_fold(a.username) = public.name_fold(n.name)) THEN 1
			WHEN EXISTS (SELECT 1 FROM public.users a WHERE a.kind <> 'guest'
				AND public.name_fold(a.name) = public.name_fold(n.name)) THEN 1
			WHEN g.id IS NULL THEN 3
			WHEN g.disabled_at IS NOT NULL THEN 2
			ELSE 0 END::smallint,
		g.id, g.uid, g.name
	FROM unnest(p_names) WITH ORDINALITY AS n (name, ord)
	LEFT JOIN LATERAL (SELECT * FROM public.users u
		WHERE u.kind = 'guest' AND u.name = n.name LIMIT 1) AS g ON true
	ORDER BY n.ord;
END
$$;

-- ---- Accounts ----

CREATE FUNCTION public.account_note(
	p_actor bigint, p_action text, p_user bigint, p_address text, p_detail jsonb DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE
AS $$
	INSERT INTO public.audit (actor_id, action, target_user_id, detail)
	VALUES (p_actor, p_action, p_user, nullif(jsonb_strip_nulls(
		jsonb_build_object('address', p_address) || coalesce(p_detail, '{}')), '{}'))
$$;
COMMENT ON FUNCTION public.account_note IS 'An act about a user in the audit';

-- status: 0 made, 1 the username is taken, 2 the e-mail address is, 3 there is no such guest. A
-- hash has a salt of its own, so an account that has p_hash was made by the same request.
CREATE FUNCTION public.account_create(
	p_username text, p_email text, p_full_name text, p_hash text, p_guest bigint,
	p_is_admin boolean, p_is_operator boolean, p_address text)
RETURNS TABLE (status smallint, id bigint, uid uuid, name text, is_admin boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v public.users%ROWTYPE;
	v_key text := '';
BEGIN
	IF EXISTS (SELECT 1 FROM public.users u WHERE u.kind <> 'guest'
		AND u.password_hash IS DISTINCT FROM p_hash
		AND public.name_fold(u.name) = public.name_fold(p_username))
	THEN
		RETURN QUERY SELECT 1::smallint, NULL::bigint, NULL::uuid, NULL::text, NULL::boolean;
		RETURN;
	END IF;
	BEGIN
		IF p_guest = 0 THEN
			INSERT INTO public.users (kind, username, name, email, full_name,
				password_hash, is_admin)
			VALUES ('account', p_username, p_username, p_email, p_full_name, p_hash,
				p_is_admin)
			RETURNING * INTO v;
		ELSE
			UPDATE public.users u SET kind = 'account', username = p_username,
				name = p_username, email = p_email, full_name = p_full_name,
				password_hash = p_hash, is_admin = p_is_admin
			WHERE u.id = p_guest AND u.kind = 'guest' AND u.disabled_at IS NULL
			RETURNING * INTO v;
			v_key := CASE WHEN FOUND THEN '' ELSE 'guest' END;
		END IF;
	EXCEPTION WHEN unique_violation THEN
		GET STACKED DIAGNOSTICS v_key = CONSTRAINT_NAME;
	END;
	IF v_key <> '' THEN
		RETURN QUERY
		SELECT 0::smallint, u.id, u.uid, u.name, u.is_admin FROM public.users u
		WHERE u.kind = 'account' AND u.username = p_username AND u.password_hash = p_hash;
		IF NOT FOUND THEN
			RETURN QUERY SELECT CASE WHEN v_key = 'guest' THEN 3
				WHEN v_key LIKE 'users_email_%' THEN 2 ELSE 1 END::smallint,
				NULL::bigint, NULL::uuid, NULL::text, NULL::boolean;
		END IF;
		RETURN;
	END IF;
	PERFORM public.account_note(CASE WHEN p_is_operator THEN 0 ELSE v.id END,
		CASE WHEN p_guest = 0 THEN 'account.create' ELSE 'account.upgrade' END, v.id,
		p_address);
	RETURN QUERY SELECT 0::smallint, v.id, v.uid, v.name, v.is_admin;
END
$$;
COMMENT ON FUNCTION public.account_create IS
	'Makes an account, or makes one of a guest, whose history it keeps';

-- Ends a user's sessions: one, or all, or all but one. In ascending order, so that two who end
-- several wait for each other one way.
CREATE FUNCTION public.sessions_end(
	p_user bigint, p_session uuid, p_except uuid, p_actor bigint, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_ids uuid[];
BEGIN
	v_ids := ARRAY (
		SELECT s.id FROM public.sessions s
		WHERE s.user_id = p_user AND (p_session IS NULL OR s.id = p_session)
		AND s.id IS DISTINCT FROM p_except
		AND s.revoked_at IS NULL AND s.expires_at > public.now_ms()
		ORDER BY s.id FOR UPDATE);
	UPDATE public.sessions s SET revoked_at = public.now_ms() WHERE s.id = ANY (v_ids);
	PERFORM public.account_note(p_actor, 'session.end', p_user, p_address,
		jsonb_build_object('session', i.id)) FROM unnest(v_ids) AS i (id);
	RETURN QUERY SELECT i.id FROM unnest(v_ids) AS i (id);
END
$$;
COMMENT ON FUNCTION public.sessions_end IS 'Ends sessions of a user; answers which';

-- These answer one row without a session when they did what they are for, then the sessions
-- they ended; no row when there is no such user. The user's row is locked first, so a
-- login that runs meanwhile is over before the sessions are looked for, or sees the change.

CREATE FUNCTION public.account_password(
	p_user bigint, p_hash text, p_keep uuid, p_actor bigint, p_action text, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	UPDATE public.users u SET password_hash = p_hash, credentials = u.credentials + 1
	WHERE u.id = p_user AND u.kind = 'account';
	IF NOT FOUND THEN
		RETURN;
	END IF;
	DELETE FROM public.reset_tokens r WHERE r.user_id = p_user;
	PERFORM public.account_note(p_actor, p_action, p_user, p_address);
	RETURN QUERY SELECT NULL::uuid UNION ALL
		SELECT e.session FROM public.sessions_end(p_user, NULL, p_keep, p_actor, p_address) e;
END
$$;
COMMENT ON FUNCTION public.account_password IS
	'Sets a password, ends the sessions but p_keep, voids reset tokens';

CREATE FUNCTION public.account_disable(
	p_user bigint, p_is_disabled boolean, p_actor bigint, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_was timestamptz;
BEGIN
	SELECT u.disabled_at INTO v_was FROM public.users u
	WHERE u.id = p_user AND u.kind <> 'system' FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF p_is_disabled <> (v_was IS NOT NULL) THEN
		UPDATE public.users u
		SET disabled_at = CASE WHEN p_is_disabled THEN public.now_ms() END
		WHERE u.id = p_user;
		PERFORM public.account_note(p_actor,
			CASE WHEN p_is_disabled THEN 'account.disable' ELSE 'account.enable' END,
			p_user, p_address);
	END IF;
	RETURN NEXT;
	IF p_is_disabled THEN
		RETURN QUERY SELECT e.session
		FROM public.sessions_end(p_user, NULL, NULL, p_actor, p_address) e;
	END IF;
END
$$;
COMMENT ON FUNCTION public.account_disable IS 'Shuts a user out, or lets them in again';

CREATE FUNCTION public.account_admin(
	p_user bigint, p_is_admin boolean, p_actor bigint, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_was boolean;
BEGIN
	SELECT u.is_admin INTO v_was FROM public.users u
	WHERE u.id = p_user AND u.kind = 'account' FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	RETURN NEXT;
	IF p_is_admin <> v_was THEN
		UPDATE public.users u SET is_admin = p_is_admin WHERE u.id = p_user;
		PERFORM public.account_note(p_actor,
			CASE WHEN p_is_admin THEN 'account.admin' ELSE 'account.no-admin' END,
			p_user, p_address);
	END IF;
	IF v_was AND NOT p_is_admin THEN
		RETURN QUERY SELECT e.session
		FROM public.sessions_end(p_user, NULL, NULL, p_actor, p_address) e;
	END IF;
END
$$;
COMMENT ON FUNCTION public.account_admin IS
	'Gives or takes the role of administrator; taking ends the sessions, whose tokens name it';

-- ---- Sessions ----

-- No row: the user is gone or disabled, or has other credentials by now. The lock on the user
-- lasts until the session is there, so that who disables the user or changes the password finds it.
CREATE FUNCTION public.session_begin(
	p_user bigint, p_kind text, p_session uuid, p_family bytea, p_refresh bytea,
	p_credentials bigint, p_device text, p_address text, p_ttl_ms bigint, p_max integer)
RETURNS TABLE (session uuid, user_id bigint, uid uuid, name text, is_account boolean,
	is_admin boolean, expires_ms bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v public.users%ROWTYPE;
	v_now timestamptz := public.now_ms();
BEGIN
	SELECT * INTO v FROM public.users u WHERE u.id = p_user AND u.disabled_at IS NULL
	AND (p_credentials < 0 OR u.credentials = p_credentials) FOR SHARE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	INSERT INTO public.sessions (id, user_id, kind, family_hash, refresh_hash, created_at,
		last_seen_at, expires_at, device, address)
	VALUES (p_session, p_user, p_kind, p_family, p_refresh, v_now, v_now,
		v_now + p_ttl_ms * interval '1 millisecond', left(p_device, 200), p_address::inet)
	ON CONFLICT (id) DO NOTHING;
	IF FOUND THEN
		PERFORM public.account_note(p_user, 'session.begin', p_user, p_address,
			jsonb_build_object('session', p_session, 'device', left(p_device, 200)));
	END IF;
	IF p_max > 0 THEN
		UPDATE public.sessions s SET revoked_at = v_now WHERE s.id IN (
			SELECT o.id FROM public.sessions o WHERE o.user_id = p_user
			AND o.revoked_at IS NULL AND o.expires_at > v_now AND o.id <> p_session
			ORDER BY o.last_seen_at DESC OFFSET p_max - 1 FOR UPDATE SKIP LOCKED);
	END IF;
	DELETE FROM public.sessions s WHERE s.id IN (
		SELECT o.id FROM public.sessions o WHERE o.expires_at < v_now - interval '7 days'
		ORDER BY o.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED);
	RETURN QUERY
	SELECT s.id, v.id, v.uid, v.name, v.kind = 'account', v.is_admin,
		public.epoch_ms(s.expires_at)
	FROM public.sessions s WHERE s.id = p_session AND s.user_id = p_user
	AND s.family_hash IS NOT DISTINCT FROM p_family AND s.revoked_at IS NULL;
END
$$;
COMMENT ON FUNCTION public.session_begin IS 'A new session of a user who may have one';

-- status: 0 taken, 1 taken again, 2 refused, 3 the token was used before: the session is over. The
-- row is locked first: of two who show one token at once the second finds it used.
CREATE FUNCTION public.session_refresh(
	p_session uuid, p_family bytea, p_shown bytea, p_next bytea, p_ttl_ms bigint,
	p_grace_ms bigint, p_address text)
RETURNS TABLE (status smallint, session uuid, user_id bigint, uid uuid, name text,
	is_account boolean, is_admin boolean, expires_ms bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	s public.sessions%ROWTYPE;
	u public.users%ROWTYPE;
	v_now timestamptz;
	v_status smallint := 2;
BEGIN
	SELECT * INTO s FROM public.sessions o
	WHERE o.id = p_session AND o.kind = 'refresh' FOR UPDATE;
	v_now := public.now_ms();
	IF FOUND AND s.family_hash = p_family AND s.revoked_at IS NULL AND s.expires_at > v_now THEN
		SELECT * INTO u FROM public.users o WHERE o.id = s.user_id AND o.disabled_at IS NULL;
		v_status := CASE
			WHEN NOT FOUND THEN 2
			WHEN s.refresh_hash = p_shown THEN 0
			WHEN s.previous_hash = p_shown
				AND v_now < s.refreshed_at + p_grace_ms * interval '1 millisecond' THEN 1
			ELSE 3 END;
	END IF;
	IF v_status = 3 THEN
		UPDATE public.sessions o SET revoked_at = v_now WHERE o.id = p_session;
		PERFORM public.account_note(s.user_id, 'session.reuse', s.user_id, p_address,
			jsonb_build_object('session', p_session));
	ELSIF v_status < 2 THEN
		s.expires_at := v_now + p_ttl_ms * interval '1 millisecond';
		UPDATE public.sessions o SET refresh_hash = p_next,
			previous_hash = CASE v_status WHEN 0 THEN s.refresh_hash ELSE s.previous_hash END,
			refreshed_at = CASE v_status WHEN 0 THEN v_now ELSE s.refreshed_at END,
			last_seen_at = v_now, expires_at = s.expires_at,
			address = coalesce(p_address::inet, o.address)
		WHERE o.id = p_session;
	END IF;
	RETURN QUERY SELECT v_status, p_session, s.user_id, u.uid, u.name, u.kind = 'account',
		u.is_admin, public.epoch_ms(s.expires_at);
END
$$;
COMMENT ON FUNCTION public.session_refresh IS
	'Takes a refresh token and puts the next one in force';

-- ---- Second factors ----

-- Replaces what is not in force.
CREATE FUNCTION public.totp_begin(p_user bigint, p_sealed bytea)
RETURNS TABLE (status smallint)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	IF NOT EXISTS (SELECT 1 FROM public.users u WHERE u.id = p_user AND u.kind = 'account') THEN
		RETURN QUERY SELECT 1::smallint;
		RETURN;
	END IF;
	INSERT INTO public.totp_secrets AS t (user_id, sealed) VALUES (p_user, p_sealed)
	ON CONFLICT (user_id) DO UPDATE SET sealed = excluded.sealed,
		created_at = excluded.created_at
	WHERE t.confirmed_at IS NULL;
	RETURN QUERY SELECT CASE WHEN FOUND THEN 0 ELSE 2 END::smallint;
END
$$;
COMMENT ON FUNCTION public.totp_begin IS
	'Keeps a secret until it is confirmed. 1: no account, 2: one is in force';

-- Recovery codes in place of all; no row when there is no factor in force. The factor's row is
-- locked, so that of two sets one stands.
CREATE FUNCTION public.recovery_set(p_user bigint, p_codes bytea[])
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	PERFORM 1 FROM public.totp_secrets t
	WHERE t.user_id = p_user AND t.confirmed_at IS NOT NULL FOR UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	DELETE FROM public.recovery_codes c WHERE c.user_id = p_user;
	INSERT INTO public.recovery_codes (user_id, code_hash)
	SELECT DISTINCT p_user, h FROM unnest(p_codes) AS h;
	RETURN QUERY SELECT p_user;
END
$$;
COMMENT ON FUNCTION public.recovery_set IS 'New recovery codes of an account';

CREATE FUNCTION public.totp_confirm(
	p_user bigint, p_step bigint, p_codes bytea[], p_address text)
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	UPDATE public.totp_secrets t SET confirmed_at = public.now_ms(), last_step = p_step
	WHERE t.user_id = p_user AND t.confirmed_at IS NULL;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM public.account_note(p_user, 'totp.on', p_user, p_address);
	RETURN QUERY SELECT * FROM public.recovery_set(p_user, p_codes);
END
$$;
COMMENT ON FUNCTION public.totp_confirm IS 'Puts the waiting secret in force';

CREATE FUNCTION public.totp_remove(p_user bigint, p_actor bigint, p_address text)
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_confirmed timestamptz;
BEGIN
	DELETE FROM public.totp_secrets t WHERE t.user_id = p_user
	RETURNING t.confirmed_at INTO v_confirmed;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	DELETE FROM public.recovery_codes c WHERE c.user_id = p_user;
	IF v_confirmed IS NOT NULL THEN
		PERFORM public.account_note(p_actor, 'totp.off', p_user, p_address);
	END IF;
	RETURN QUERY SELECT p_user;
END
$$;
COMMENT ON FUNCTION public.totp_remove IS 'Removes secret and recovery codes';

CREATE FUNCTION public.recovery_use(p_user bigint, p_code bytea, p_address text)
RETURNS TABLE (codes_left bigint)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	UPDATE public.recovery_codes c SET used_at = public.now_ms()
	WHERE c.user_id = p_user AND c.code_hash = p_code AND c.used_at IS NULL;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM public.account_note(p_user, 'recovery.use', p_user, p_address);
	RETURN QUERY SELECT count(*) FROM public.recovery_codes c
	WHERE c.user_id = p_user AND c.used_at IS NULL;
END
$$;
COMMENT ON FUNCTION public.recovery_use IS 'Uses up a recovery code; answers how many are left';

-- ---- Forgotten passwords ----

-- The account's row is locked, so that tokens are counted one request after the other. is_full:
-- nothing was kept. The same token again is kept once.
CREATE FUNCTION public.reset_create(
	p_email text, p_token bytea, p_ttl_ms bigint, p_max integer, p_address text)
RETURNS TABLE (is_full boolean, user_id bigint, email text, name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	u public.users%ROWTYPE;
	v_now timestamptz := public.now_ms();
BEGIN
	DELETE FROM public.reset_tokens r WHERE r.token_hash IN (
		SELECT o.token_hash FROM public.reset_tokens o WHERE o.expires_at < v_now
		ORDER BY o.expires_at LIMIT 20 FOR UPDATE SKIP LOCKED);
	SELECT * INTO u FROM public.users o
	WHERE o.kind = 'account' AND o.disabled_at IS NULL AND o.email IS NOT NULL
	AND public.name_fold(o.email) = public.name_fold(p_email) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	is_full := (SELECT count(*) FROM public.reset_tokens r WHERE r.user_id = u.id
		AND r.expires_at >= v_now AND r.token_hash <> p_token) >= p_max;
	IF NOT is_full THEN
		INSERT INTO public.reset_tokens (token_hash, user_id, expires_at)
		VALUES (p_token, u.id, v_now + p_ttl_ms * interval '1 millisecond')
		ON CONFLICT DO NOTHING;
		IF FOUND THEN
			PERFORM public.account_note(u.id, 'password.reset-request', u.id, p_address);
		END IF;
	END IF;
	RETURN QUERY SELECT is_full, u.id, u.email, u.name;
END
$$;
COMMENT ON FUNCTION public.reset_create IS 'Keeps a token for who forgot the password';

CREATE FUNCTION public.reset_use(p_token bytea, p_hash text, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_user bigint;
BEGIN
	SELECT u.id INTO v_user FROM public.users u
	WHERE u.id = (SELECT r.user_id FROM public.reset_tokens r WHERE r.token_hash = p_token)
	AND u.disabled_at IS NULL FOR NO KEY UPDATE;
	DELETE FROM public.reset_tokens r WHERE r.token_hash = p_token
	AND r.user_id = v_user AND r.expires_at > public.now_ms();
	IF FOUND THEN
		RETURN QUERY SELECT p.session FROM public.account_password(
			v_user, p_hash, NULL, v_user, 'password.reset', p_address) p;
	END IF;
END
$$;
COMMENT ON FUNCTION public.reset_use IS 'Takes a token and sets the password; as account_password';
