-- SPDX-License-Identifier: MIT
-- verify_log as in 0007_verify.sql, but only rows that one glance finds odd are looked at closely:
-- eight checks for each of millions of sound rows took most of the time.

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
	WHERE x.content IS DISTINCT FROM CASE x.key WHEN 'name' THEN c.name ELSE c.description END
$$;
