-- SPDX-License-Identifier: MIT
-- What a client needs to come back: the subscriptions of its session, where its conversations stand
-- now, and its name when thousands come back at once.

CREATE TABLE public.resume_points (
	session uuid NOT NULL CONSTRAINT resume_points_pkey PRIMARY KEY,
	user_id bigint NOT NULL,
	updated_at timestamptz NOT NULL,
	convs bigint[] NOT NULL,
	revs bigint[] NOT NULL,
	CONSTRAINT resume_points_length_check CHECK (cardinality(convs) = cardinality(revs))
) WITH (fillfactor = 70);
CREATE INDEX resume_points_updated_idx ON public.resume_points (updated_at);
COMMENT ON TABLE public.resume_points IS
	'The conversations each session is subscribed to, with a position in each; not written '
	'for some days, it is removed';
COMMENT ON COLUMN public.resume_points.session IS
	'Of a connection, named in its cursor; not sessions.id';

-- The revisions to read for a client at p_revs in p_convs: at most p_limit in all. is_gap: the log
-- before first_rev is gone although the client has not seen it; it counts as one revision. An
-- emptied log gives a gap whose range is empty. Conversations that are not in the list and that
-- the user is a member of follow it, by id, from the joining on.
CREATE FUNCTION public.sync_ranges(
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
		WHERE m.role IS DISTINCT FROM 'banned' AND (c.kind IN ('room', 'code')
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
COMMENT ON FUNCTION public.sync_ranges IS
	'Which revisions of which conversations come next for a client';

-- Many guests at once, in the order of the names; guest_get for each. status as there, and 3: no
-- possible name. New ones are inserted by name, so that two calls wait for each other one way.
CREATE FUNCTION public.guests_get(p_names text[])
RETURNS TABLE (ord bigint, status smallint, id bigint, uid uuid, name text)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
	INSERT INTO public.users (kind, name)
	SELECT 'guest', n.name FROM (SELECT DISTINCT t.name FROM unnest(p_names) AS t (name)) AS n
	WHERE char_length(n.name) BETWEEN 1 AND 100
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE u.kind = 'guest' AND u.name = n.name)
	AND NOT EXISTS (SELECT 1 FROM public.users u WHERE lower(u.username) = lower(n.name))
	AND NOT EXISTS (SELECT 1 FROM public.users u
		WHERE u.kind <> 'guest' AND lower(u.name) = lower(n.name))
	ORDER BY n.name
	ON CONFLICT DO NOTHING;
	RETURN QUERY
	SELECT n.ord, CASE
			WHEN EXISTS (SELECT 1 FROM public.users a
				WHERE lower(a.username) = lower(n.name)) THEN 1
			WHEN EXISTS (SELECT 1 FROM public.users a
				WHERE a.kind <> 'guest' AND lower(a.name) = lower(n.name)) THEN 1
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
COMMENT ON FUNCTION public.guests_get IS 'guest_get for many names in one statement';
