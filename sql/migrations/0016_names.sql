-- SPDX-License-Identifier: MIT
-- Names as readers see them: characters that show nothing do not tell names apart, guests are
-- compared as accounts are, and nobody makes an account of a name that a guest's cookie holds.
-- Beside that: pictures at registration, a second factor that is confirmed by its secret, addresses
-- whose change voids what was mailed to the former one, failed logins in the audit.

-- ---- Folding ----

-- Indexes that were built with the former function.
DROP INDEX public.users_username_fold_key, public.users_email_fold_key, public.users_name_fold_idx,
	public.users_guest_fold_idx, public.users_guest_name_key;

DO $do$
DECLARE
	v_collate text := '';
BEGIN
	IF EXISTS (SELECT 1 FROM pg_catalog.pg_collation c
		WHERE c.collname = 'und-x-icu' AND c.collprovider = 'i')
	THEN
		v_collate := ' COLLATE pg_catalog."und-x-icu"';
	END IF;
	-- the class is Default_Ignorable_Code_Point of the Unicode character database
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION public.name_fold(t text) RETURNS text'
		' LANGUAGE sql IMMUTABLE PARALLEL SAFE'
		' RETURN lower(upper(normalize(regexp_replace(t, %2$L, %3$L, %4$L), NFKC)%1$s)%1$s)',
		v_collate,
		'[\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E'
		'\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8\U0001BCA0-\U0001BCA3'
		'\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]', '', 'g');
END
$do$;

-- Of those whose names or addresses have become equal, the first keeps what it has.
UPDATE public.users u SET name = left(u.name, 60) || ' ' || u.uid
WHERE u.kind = 'guest' AND EXISTS (SELECT 1 FROM public.users o WHERE o.kind = 'guest'
	AND o.id < u.id AND public.name_fold(o.name) = public.name_fold(u.name));
UPDATE public.users u SET username = left(u.username, 60) || '-' || u.uid,
	name = left(u.username, 60) || '-' || u.uid
WHERE u.username IS NOT NULL AND EXISTS (SELECT 1 FROM public.users o WHERE o.id < u.id
	AND public.name_fold(o.username) = public.name_fold(u.username));
UPDATE public.users u SET email = NULL
WHERE u.email IS NOT NULL AND EXISTS (SELECT 1 FROM public.users o WHERE o.id < u.id
	AND public.name_fold(o.email) = public.name_fold(u.email));

CREATE UNIQUE INDEX users_username_fold_key ON public.users
	(public.name_fold(username) text_pattern_ops) WHERE username IS NOT NULL;
CREATE UNIQUE INDEX users_email_fold_key ON public.users
	(public.name_fold(email) text_pattern_ops) WHERE email IS NOT NULL;
CREATE INDEX users_name_fold_idx ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind <> 'guest';
CREATE UNIQUE INDEX users_guest_fold_key ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind = 'guest';
COMMENT ON COLUMN public.users.name IS 'Shown name; unique among guests as name_fold compares';

-- ---- Guests ----

-- As before, but whoever writes the name another way is the same guest.
CREATE OR REPLACE FUNCTION public.guest_get(p_name text)
RETURNS TABLE (status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
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
		SELECT CASE WHEN u.disabled_at IS NOT NULL THEN 2
			WHEN public.guest_is_bound(u.id, NULL) THEN 4 ELSE 0 END::smallint,
			u.id, u.uid, u.name
		FROM public.users u WHERE u.kind = 'guest'
		AND public.name_fold(u.name) = public.name_fold(p_name);
		EXIT WHEN FOUND;
		INSERT INTO public.users (kind, name) VALUES ('guest', p_name)
			ON CONFLICT DO NOTHING;
	END LOOP;
END
$$;

-- Sessions keep the plan of their first call, which may find an empty table. OFFSET 0, which keeps
-- the questions from becoming joins, and the setting see to it that each later call looks in the
-- indexes: folding the names of all users for each guest takes seconds with thousands of them.
CREATE OR REPLACE FUNCTION public.guests_get(p_names text[])
RETURNS TABLE (ord bigint, status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO public.users (kind, name)
	SELECT 'guest', n.name FROM (SELECT DISTINCT ON (f.fold) f.name, f.fold FROM (
		SELECT t.name, t.ord, public.name_fold(t.name) AS fold
		FROM unnest(p_names) WITH ORDINALITY AS t (name, ord)) AS f
		ORDER BY f.fold, f.ord) AS n
	WHERE char_length(n.name) BETWEEN 1 AND 100
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.kind = 'guest'
		AND public.name_fold(u.name) = n.fold OFFSET 0)
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.username IS NOT NULL
		AND public.name_fold(u.username) = n.fold OFFSET 0)
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.kind <> 'guest'
		AND public.name_fold(u.name) = n.fold OFFSET 0)
	ORDER BY n.fold
	ON CONFLICT DO NOTHING;
	RETURN QUERY
	SELECT n.ord, CASE
			WHEN EXISTS (SELECT 1 FROM public.users a WHERE a.username IS NOT NULL
				AND public.name_fold(a.username) = public.name_fold(n.name)) THEN 1
			WHEN EXISTS (SELECT 1 FROM public.users a WHERE a.kind <> 'guest'
				AND public.name_fold(a.name) = public.name_fold(n.name)) THEN 1
			WHEN g.id IS NULL THEN 3
			WHEN g.disabled_at IS NOT NULL THEN 2
			WHEN public.guest_is_bound(g.id, NULL) THEN 4
			ELSE 0 END::smallint,
		g.id, g.uid, g.name
	FROM unnest(p_names) WITH ORDINALITY AS n (name, ord)
	LEFT JOIN LATERAL (SELECT * FROM public.users u WHERE u.kind = 'guest'
		AND public.name_fold(u.name) = public.name_fold(n.name) LIMIT 1) AS g ON true
	ORDER BY n.ord;
END
$$;

-- Whoever binds a name or makes an account of it waits for the others who do, to the end of the
-- transaction: each finds what the one before has done.
CREATE FUNCTION public.name_lock(p_name text)
RETURNS void
LANGUAGE sql VOLATILE
AS $$
	SELECT pg_catalog.pg_advisory_xact_lock(
		pg_catalog.hashtextextended(public.name_fold(p_name), 7021))
$$;
COMMENT ON FUNCTION public.name_lock IS 'One at a time takes a name';

-- As before, but the name is written as who claims it writes it.
CREATE OR REPLACE FUNCTION public.guest_claim(
	p_name text, p_session uuid, p_device text, p_address text, p_ttl_ms bigint)
RETURNS TABLE (status smallint, session uuid, user_id bigint, uid uuid, name text,
	is_account boolean, is_admin boolean, expires_ms bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v_status smallint;
	v_user bigint;
BEGIN
	PERFORM public.name_lock(p_name);
	SELECT g.status, g.id INTO v_status, v_user FROM public.guest_get(p_name) g;
	IF v_status IN (0, 4) THEN
		PERFORM 1 FROM public.users u WHERE u.id = v_user AND u.kind = 'guest' FOR UPDATE;
		v_status := CASE WHEN NOT FOUND THEN 1
			WHEN public.guest_is_bound(v_user, p_session) THEN 4 ELSE 0 END;
	END IF;
	IF v_status = 0 THEN
		UPDATE public.users u SET name = p_name WHERE u.id = v_user AND u.name <> p_name;
		RETURN QUERY SELECT 0::smallint, b.* FROM public.session_begin(v_user, 'cookie',
			p_session, NULL, NULL, -1, p_device, p_address, p_ttl_ms, 0) b;
	ELSE
		RETURN QUERY SELECT coalesce(v_status, 3::smallint), NULL::uuid, NULL::bigint,
			NULL::uuid, NULL::text, NULL::boolean, NULL::boolean, NULL::bigint;
	END IF;
END
$$;

-- ---- Accounts ----

-- As before, but a name that the cookie of another guest holds is taken, and with a picture.
DROP FUNCTION public.account_create(text, text, text, text, bigint, boolean, boolean, text);
CREATE FUNCTION public.account_create(
	p_username text, p_email text, p_full_name text, p_hash text, p_guest bigint,
	p_is_admin boolean, p_is_operator boolean, p_address text, p_avatar_url text)
RETURNS TABLE (status smallint, id bigint, uid uuid, name text, is_admin boolean)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
	v public.users%ROWTYPE;
	v_key text := '';
BEGIN
	PERFORM public.name_lock(p_username);
	IF EXISTS (SELECT 1 FROM public.users u WHERE u.kind <> 'guest'
		AND u.password_hash IS DISTINCT FROM p_hash
		AND public.name_fold(u.name) = public.name_fold(p_username)) OR EXISTS (
		SELECT 1 FROM public.users u WHERE u.kind = 'guest' AND u.id <> p_guest
		AND public.name_fold(u.name) = public.name_fold(p_username)
		AND public.guest_is_bound(u.id, NULL))
	THEN
		RETURN QUERY SELECT 1::smallint, NULL::bigint, NULL::uuid, NULL::text, NULL::boolean;
		RETURN;
	END IF;
	BEGIN
		IF p_guest = 0 THEN
			INSERT INTO public.users (kind, username, name, email, full_name,
				avatar_url, password_hash, is_admin)
			VALUES ('account', p_username, p_username, p_email, p_full_name,
				p_avatar_url, p_hash, p_is_admin)
			RETURNING * INTO v;
		ELSE
			UPDATE public.users u SET kind = 'account', username = p_username,
				name = p_username, email = p_email, full_name = p_full_name,
				avatar_url = p_avatar_url, password_hash = p_hash,
				is_admin = p_is_admin
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

-- NULL stays, empty is removed. No row: no such account, or another password since p_credentials
-- (-1: whatever they are). The row is locked first, so that a token
-- for the former address is there to be voided or is not made any more.
CREATE FUNCTION public.account_patch(
	p_user bigint, p_full_name text, p_avatar_url text, p_email text, p_credentials bigint,
	p_address text)
RETURNS TABLE (is_moved boolean, old_email text)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
	v_old text;
	v_new text;
BEGIN
	SELECT u.email INTO v_old FROM public.users u
	WHERE u.id = p_user AND u.kind = 'account'
	AND (p_credentials < 0 OR u.credentials = p_credentials) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	v_new := CASE WHEN p_email IS NULL THEN v_old ELSE nullif(p_email, '') END;
	UPDATE public.users u SET email = v_new,
		full_name = CASE WHEN p_full_name IS NULL THEN u.full_name
			ELSE nullif(p_full_name, '') END,
		avatar_url = CASE WHEN p_avatar_url IS NULL THEN u.avatar_url
			ELSE nullif(p_avatar_url, '') END
	WHERE u.id = p_user;
	IF v_new IS DISTINCT FROM v_old THEN
		DELETE FROM public.reset_tokens r WHERE r.user_id = p_user;
		PERFORM public.account_note(p_user, 'account.email', p_user, p_address);
	END IF;
	RETURN QUERY SELECT v_new IS DISTINCT FROM v_old, v_old;
END
$$;
COMMENT ON FUNCTION public.account_patch IS
	'Changes a profile; another address voids what was mailed to the former one';

-- The password of who has just proved the former one: p_credentials are still in force, or no row.
CREATE FUNCTION public.account_password_change(
	p_user bigint, p_hash text, p_keep uuid, p_actor bigint, p_credentials bigint, p_address text)
RETURNS TABLE (session uuid)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
	PERFORM 1 FROM public.users u WHERE u.id = p_user AND u.kind = 'account'
	AND (p_credentials < 0 OR u.credentials = p_credentials) FOR NO KEY UPDATE;
	IF FOUND THEN
		RETURN QUERY SELECT p.session FROM public.account_password(
			p_user, p_hash, p_keep, p_actor, 'password.change', p_address) p;
	END IF;
END
$$;
COMMENT ON FUNCTION public.account_password_change IS
	'As account_password, unless somebody was faster (-1: whoever was)';

-- ---- Second factors ----

-- As before, but of two set-ups at once only the one is confirmed whose code was shown.
DROP FUNCTION public.totp_confirm(bigint, bigint, bytea[], text);
CREATE FUNCTION public.totp_confirm(
	p_user bigint, p_sealed bytea, p_step bigint, p_codes bytea[], p_address text)
RETURNS TABLE (user_id bigint)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	UPDATE public.totp_secrets t SET confirmed_at = public.now_ms(), last_step = p_step
	WHERE t.user_id = p_user AND t.confirmed_at IS NULL AND t.sealed = p_sealed;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	PERFORM public.account_note(p_user, 'totp.on', p_user, p_address);
	RETURN QUERY SELECT * FROM public.recovery_set(p_user, p_codes);
END
$$;
COMMENT ON FUNCTION public.totp_confirm IS 'Puts the waiting secret in force';
