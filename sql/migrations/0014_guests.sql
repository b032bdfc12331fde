-- SPDX-License-Identifier: MIT
-- Guests whose name is bound to a cookie: while its session lives, nobody else is this guest.

CREATE INDEX users_guest_fold_idx ON public.users (public.name_fold(name) text_pattern_ops)
	WHERE kind = 'guest';

CREATE FUNCTION public.guest_is_bound(p_user bigint, p_session uuid)
RETURNS boolean
LANGUAGE sql STABLE
AS $$
	SELECT EXISTS (SELECT 1 FROM public.sessions s
		WHERE s.user_id = p_user AND s.revoked_at IS NULL AND s.expires_at > public.now_ms()
		AND s.id IS DISTINCT FROM p_session)
$$;
COMMENT ON FUNCTION public.guest_is_bound IS
	'Whether a session other than this one holds the guest''s name';

-- As before, with status 4: the name is bound to somebody's cookie.
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
		SELECT CASE WHEN u.disabled_at IS NOT NULL THEN 2
			WHEN public.guest_is_bound(u.id, NULL) THEN 4 ELSE 0 END::smallint,
			u.id, u.uid, u.name
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
			WHEN public.guest_is_bound(g.id, NULL) THEN 4
			ELSE 0 END::smallint,
		g.id, g.uid, g.name
	FROM unnest(p_names) WITH ORDINALITY AS n (name, ord)
	LEFT JOIN LATERAL (SELECT * FROM public.users u
		WHERE u.kind = 'guest' AND u.name = n.name LIMIT 1) AS g ON true
	ORDER BY n.ord;
END
$$;

-- The row of the guest is locked until the session is there: of two who want one name, the second
-- finds it bound. status as guest_get; the rest as session_begin.
CREATE FUNCTION public.guest_claim(
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
	SELECT g.status, g.id INTO v_status, v_user FROM public.guest_get(p_name) g;
	IF v_status IN (0, 4) THEN
		PERFORM 1 FROM public.users u WHERE u.id = v_user AND u.kind = 'guest' FOR UPDATE;
		v_status := CASE WHEN NOT FOUND THEN 1
			WHEN public.guest_is_bound(v_user, p_session) THEN 4 ELSE 0 END;
	END IF;
	IF v_status = 0 THEN
		RETURN QUERY SELECT 0::smallint, b.* FROM public.session_begin(v_user, 'cookie',
			p_session, NULL, NULL, -1, p_device, p_address, p_ttl_ms, 0) b;
	ELSE
		RETURN QUERY SELECT coalesce(v_status, 3::smallint), NULL::uuid, NULL::bigint,
			NULL::uuid, NULL::text, NULL::boolean, NULL::boolean, NULL::bigint;
	END IF;
END
$$;
COMMENT ON FUNCTION public.guest_claim IS 'Binds the name of a guest to a new session';
